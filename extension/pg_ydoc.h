/*
 * pg_ydoc.h: the module's settings (pg_ydoc.c defines them as GUCs).
 */
#ifndef PG_YDOC_H
#define PG_YDOC_H

/* ydoc.cache_size, kB: decoded documents that a backend keeps; 0: none */
extern int ydoc_cache_size_kb;

/* ydoc.max_update_size, kB: an update that is larger is refused */
extern int ydoc_max_update_size_kb;

/* ydoc.notify: whether commits tell listeners */
extern bool ydoc_notify_enabled;
extern char *ydoc_actor; /* never NULL; empty: nobody is named */
extern char *ydoc_source; /* from where they come; empty: nothing is said */

#endif
