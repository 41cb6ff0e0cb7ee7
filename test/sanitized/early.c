/*
 * early.c: the sanitizer's runtime begins before all others (loaded into the server with it).
 *
 * Left to itself it begins at the first malloc, and asks the system about itself.  With Debian's
 * server that malloc is in a library's constructor (p11-kit's, by way of LDAP and GnuTLS), inside
 * newlocale(), which holds a lock that the questions take as well: the server hangs before main().
 * The linker gives this file's constructor the first turn (-z initfirst).
 */
void __asan_init(void); /* the runtime's own entry, as instrumented programs call it */

__attribute__((constructor)) static void
begin(void)
{
	__asan_init();
}
