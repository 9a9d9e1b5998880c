/*
 * found - listening sockets of a dead master's bodies; see found.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/master/found.h"
#include "server/master/listener_bind.h"
#include "server/state/body.h"
#include "server/state/channel.h"

/* More than the bodies of any gateway have. */
#define FOUND_MAX (1u << 20)

static int
option_of(int fd, int option)
{
	int value = -1;
	socklen_t length = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -1
								       : value;
}

/* What it is, by the kernel's word alone. */
static int
look(int fd, struct found_socket *socket)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    option_of(fd, SO_TYPE) != SOCK_STREAM ||
	    getsockname(fd, (struct sockaddr *)&ss, &length) < 0)
		return -EPROTO;
	addr_from_sockaddr(&socket->addr, (struct sockaddr *)&ss, length);
	socket->inode = st.st_ino;
	return 0;
}

static int
make_room(struct found *found)
{
	uint32_t room = found->room == 0 ? 64 : 2 * found->room;
	struct found_socket *sockets;

	if (found->count < found->room)
		return 0;
	if (room > FOUND_MAX)
		return -EPROTO;
	sockets = reallocarray(found->sockets, room, sizeof(*sockets));
	if (sockets == NULL)
		return -ENOMEM;
	found->sockets = sockets;
	found->room = room;
	return 0;
}

int
found_add(struct found *found, int fd, const struct found_socket *as)
{
	struct found_socket socket = *as;
	int rc = look(fd, &socket);
	/* One that nobody has begun to accept on is not worth keeping. */
	bool is_wanted = rc == 0 && option_of(fd, SO_ACCEPTCONN) == 1;

	if (is_wanted)
		rc = make_room(found);
	if (rc < 0 || !is_wanted) {
		channel_close_fd(fd);
		return rc;
	}
	socket.fd = fd;
	found->sockets[found->count++] = socket;
	return 0;
}

void
found_drop(struct found *found, uint32_t row)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < found->count; i++) {
		if (found->sockets[i].row != row)
			found->sockets[kept++] = found->sockets[i];
		else if (found->sockets[i].fd >= 0)
			channel_close_fd(found->sockets[i].fd);
	}
	found->count = kept;
}

static int
by_inode(const void *a, const void *b)
{
	const struct found_socket *x = a;
	const struct found_socket *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->seat < y->seat ? -1 : x->seat > y->seat;
}

static int
by_seat(const void *a, const void *b)
{
	const struct found_socket *x = a;
	const struct found_socket *y = b;

	if (x->seat != y->seat)
		return x->seat < y->seat ? -1 : 1;
	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

void
found_settle(struct found *found)
{
	struct found_socket *sockets = found->sockets;
	uint32_t kept = 0;

	if (found->count == 0)
		return;
	qsort(sockets, found->count, sizeof(*sockets), by_inode);
	for (uint32_t i = 0; i < found->count; i++) {
		if (kept > 0 && sockets[kept - 1].inode == sockets[i].inode)
			channel_close_fd(sockets[i].fd);
		else
			sockets[kept++] = sockets[i];
	}
	found->count = kept;
	qsort(sockets, kept, sizeof(*sockets), by_seat);
}

/* Port 0 is any. */
static bool
has_address(const struct found_socket *socket, const struct addr *address)
{
	struct addr mine = socket->addr;

	if (mine.kind != ADDR_UNIX && address->port == 0)
		mine.port = 0;
	return addr_equal(&mine, address);
}

struct found_socket *
found_next(const struct found *found, uint32_t *at,
    const struct plan_listener *row, uint32_t number,
    const struct addr *address)
{
	const struct plan *plan = found == NULL ? NULL : found->plan;

	if (plan == NULL || number / 2 >= plan->listeners.count ||
	    plan_listener(plan, number / 2)->born != row->born)
		return NULL;
	while (*at < found->count) {
		struct found_socket *socket = &found->sockets[(*at)++];

		if (socket->fd >= 0 && socket->number == number &&
		    has_address(socket, address))
			return socket;
	}
	return NULL;
}

bool
found_overlaps(const struct found *found, const struct addr *address)
{
	for (uint32_t i = 0; found != NULL && i < found->count; i++) {
		if (found->sockets[i].fd >= 0 &&
		    listener_overlaps(&found->sockets[i].addr, address))
			return true;
	}
	return false;
}

/* Is its file ours: where the configuration named one, and not the service
 * manager's, which goes with its unit?  A worker can bind a socket where it
 * likes, and put something else in its place while we look. */
static bool
has_our_file(const struct found *found, const struct found_socket *socket)
{
	const struct plan *plan = found->plan;
	const struct plan_listener *row;

	if (plan == NULL || socket->number / 2 >= plan->listeners.count)
		return false;
	row = plan_listener(plan, socket->number / 2);
	return addr_equal(&row->addr, &socket->addr) &&
	    !body_listener_is_passed(row, socket->number);
}

void
found_remove_files(const struct found *found)
{
	struct listener_file file;

	for (uint32_t i = 0; i < found->count; i++) {
		const struct found_socket *socket = &found->sockets[i];

		if (socket->fd >= 0 && has_our_file(found, socket) &&
		    listener_file_of(socket->fd, &socket->addr, &file) == 0 &&
		    listener_file_is_at(&file, socket->addr.path))
			(void)unlink(socket->addr.path);
	}
}

void
found_release(struct found *found)
{
	for (uint32_t i = 0; i < found->count; i++) {
		if (found->sockets[i].fd >= 0)
			channel_close_fd(found->sockets[i].fd);
	}
	free(found->sockets);
	*found = (struct found){.count = 0};
}
