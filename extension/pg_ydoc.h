/*
 * pg_ydoc.h: the module's settings (pg_ydoc.c defines them as GUCs).
 */
#ifndef PG_YDOC_H
#define PG_YDOC_H

/* ydoc.cache_size, kB: decoded documents that a backend keeps; 0: none */
extern int ydoc_cache_size_kb;

/* ydoc.max_update_size, kB: an update that is larger is refused */
extern int ydoc_max_update_size_kb;

/* ydoc.max_waiting_size and ydoc.max_waiting_client_size, kB: what may wait in a document for updates
 * that have not come, and of one client; 0: no bound */
extern int ydoc_max_waiting_size_kb;
extern int ydoc_max_waiting_client_size_kb;

/* ydoc.max_document_size, kB: a stored document that is larger accepts nothing more */
extern int ydoc_max_document_size_kb;

/* ydoc.max_conflict_steps: an update that takes more to find the order of what is concurrent in it is
 * refused; 0: no bound.  What was accepted once is decoded without. */
extern int ydoc_max_conflict_steps;

/* ydoc.notify: whether commits tell listeners */
extern bool ydoc_notify_enabled;
extern char *ydoc_actor; /* never NULL; empty: nobody is named */
extern char *ydoc_source; /* from where they come; empty: nothing is said */

/* ydoc.compact_rows and ydoc.compact_size, kB: what is behind a stored state when it is compacted */
extern int ydoc_compact_rows;
extern int ydoc_compact_size_kb;

/* ydoc.worker_...: worker.h; strings are never NULL */
extern char *ydoc_worker_databases;
extern int ydoc_worker_naptime_s;
extern char *ydoc_worker_role;

#endif
