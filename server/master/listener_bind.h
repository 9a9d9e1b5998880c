/*
 * listener_bind - one public socket: made, bound, its file looked after.
 *
 * Runs in: master.  Knows nothing of groups, workers and reloads.
 */
#ifndef SRVD_MASTER_LISTENER_BIND_H
#define SRVD_MASTER_LISTENER_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/addr.h"
#include "common/attr.h"
#include "server/config/passed.h"
#include "server/state/plan.h"

/* Which file a Unix-domain socket made; inode 0: none. */
struct listener_file {
	uint64_t inode;
	uint64_t born_ns; /* an inode's number may be used again; 0: unknown */
	uint32_t dev_major;
	uint32_t dev_minor;
};

/* A file's owner and mode. */
struct listener_access {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

/*
 * A TCP socket bound to addr, not listening yet, with SO_REUSEPORT set.
 * shares: it was set before the bind already, so that sockets with it that
 * have the address are no error.  Returns it or -errno.
 */
must_check int listener_bind_tcp(const struct plan_listener *listener,
    const struct addr *addr, bool shares);

/*
 * A Unix-domain one.  A socket's file that nobody listens on is replaced;
 * any other is -EEXIST or -EADDRINUSE.  Its file has the owner and mode that
 * it shall have.
 */
must_check int listener_bind_unix(const struct plan_listener *listener,
    const struct addr *addr, struct listener_file *file);

/*
 * A descriptor of one that was passed and listens already, with the options
 * that the workers count on.  What is its file's stays its unit's affair.
 * Returns it or -errno.
 */
must_check int listener_take(const struct plan_listener *listener,
    const struct passed_socket *socket);

/* It was bound by another srvd: make it one that others can join. */
void listener_adopt(int fd, const struct plan_listener *listener);
/* Set what can be set while it listens. */
void listener_set_options(int fd, const struct plan_listener *listener);

/* Which file is at path?  Returns 0 or -errno. */
must_check int listener_file_note(const char *path, struct listener_file *file);
/* Which one is a bound socket's?  -ENOENT if it has none. */
must_check int listener_file_of(int fd, const struct addr *addr,
    struct listener_file *file);
bool listener_file_is(const struct listener_file *a,
    const struct listener_file *b);
/* Is it the one at path? */
bool listener_file_is_at(const struct listener_file *file, const char *path);

/* What the plan wants for it. */
struct listener_access listener_access_of(const struct plan_listener *listener);
/* Whose is it, and whose shall it be?  -EEXIST if something else is at path:
 * that is left alone. */
must_check int listener_file_look(const char *path,
    const struct listener_file *file, struct listener_access *access);
must_check int listener_file_give(const char *path,
    const struct listener_file *file, const struct listener_access *access);

/* Do two TCP addresses exclude each other? */
bool listener_overlaps(const struct addr *a, const struct addr *b);

#endif
