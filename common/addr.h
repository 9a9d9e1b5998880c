/*
 * addr - a socket address as the configuration writes it.
 *
 * One grammar wherever a socket is named: 1.2.3.4:80, [2001:db8::1]:80 (IPv6
 * only), *:80 (both families), name:80, unix:/path, unix:@abstract,
 * systemd:NAME, builtin:echo, builtin:discard.  The struct has no pointers, so that it can
 * stand in shared memory.
 *
 * Runs in: every process.  Never blocks: names are kept, not looked up.
 */
#ifndef SRVD_COMMON_ADDR_H
#define SRVD_COMMON_ADDR_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/attr.h"

enum addr_kind {
	ADDR_NONE,
	ADDR_TCP4,    /* ip, port */
	ADDR_TCP6,    /* ip, port; IPv6 only */
	ADDR_ANY,     /* "*:port": both families, two sockets */
	ADDR_NAME,    /* name:port, not yet looked up; path holds the name */
	ADDR_UNIX,    /* path; an abstract one keeps its leading '@' */
	ADDR_ECHO,    /* builtin:echo */
	ADDR_DISCARD, /* builtin:discard */
	ADDR_PASSED,  /* systemd:name, by the service manager; path holds the
		       * name, port tells which of that name, from 0 on */
};

/* The longest sun_path is 107 bytes and a NUL (unix(7)). */
#define ADDR_PATH_SIZE 108
/* The longest name of a host is 253 bytes (RFC 1035, 2.3.4), in one label
 * list; longer ones are refused.  They share the path's room: 107 bytes. */

/* Room for any address as text, with its NUL. */
#define ADDR_TEXT_SIZE 128

struct addr {
	uint8_t kind;              /* enum addr_kind */
	uint8_t ip[16];            /* network order; the first 4 for TCP4 */
	uint16_t port;             /* host order */
	char path[ADDR_PATH_SIZE]; /* NUL-terminated */
};

/* Where an address may stand: what else is then an error. */
enum addr_use {
	ADDR_FOR_LISTEN,  /* not a name, not a builtin; port 0 allowed */
	ADDR_FOR_BACKEND, /* not *, not port 0, not systemd:NAME */
};

/*
 * Read text into *addr.  Returns 0, or -EINVAL with a sentence for the person
 * who wrote it in why (what is wrong and what would be right).
 */
must_check int addr_parse(const char *text, enum addr_use use,
    struct addr *addr, char *why, size_t why_size);

/* Write addr as the configuration writes it; returns text. */
const char *addr_format(const struct addr *addr, char text[ADDR_TEXT_SIZE]);

/*
 * Fill *ss for TCP4, TCP6 and UNIX and return its length; -EINVAL for the
 * other kinds, which have no single socket address.
 */
must_check int addr_to_sockaddr(const struct addr *addr,
    struct sockaddr_storage *ss);

/* The address in ss (TCP4, TCP6 or UNIX), or ADDR_NONE for another family.
 * An unnamed Unix-domain socket is ADDR_UNIX with an empty path. */
void addr_from_sockaddr(struct addr *addr, const struct sockaddr *sa,
    socklen_t length);

/* An order of addresses, for sorting: below 0, 0 or above. */
int addr_compare(const struct addr *a, const struct addr *b);
int addr_equal(const struct addr *a, const struct addr *b);

#endif
