/*
 * activation - the sockets that the service manager passed; see activation.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "server/master/activation.h"

static int
get_option(int fd, int level, int option)
{
	int value = 0;
	socklen_t length = sizeof(value);

	if (getsockopt(fd, level, option, &value, &length) < 0)
		return -errno;
	return value;
}

/* What is wrong with it, or NULL: a constant that says what to write. */
static const char *
find_fault(int fd)
{
	int type = get_option(fd, SOL_SOCKET, SO_TYPE);
	int protocol = get_option(fd, SOL_SOCKET, SO_PROTOCOL);

	if (type < 0)
		return "is not a socket: only ListenStream= can be used";
	if (type != SOCK_STREAM)
		return "is not a stream socket: use ListenStream=";
	if (get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 1)
		return "is a connection and not a listening socket: set "
		       "Accept=no";
	/* Multipath TCP has no urgent mark in line, nor can it tell of one. */
	if (protocol != 0 && protocol != IPPROTO_TCP)
		return "is of another protocol than TCP: leave out "
		       "SocketProtocol=";
	return NULL;
}

static int
read_address(int fd, struct addr *addr)
{
	static const uint8_t any[sizeof(addr->ip)];
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &length) < 0)
		return -errno;
	addr_from_sockaddr(addr, (struct sockaddr *)&ss, length);
	if (addr->kind == ADDR_TCP6 &&
	    memcmp(addr->ip, any, sizeof(any)) == 0 &&
	    get_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0)
		addr->kind = ADDR_ANY;
	return addr->kind == ADDR_NONE ? -EAFNOSUPPORT : 0;
}

static int
take(struct passed_socket *socket, int fd, const char *name, char *why,
    size_t why_size)
{
	const char *fault = find_fault(fd);
	int rc = -EINVAL;

	socket->fd = fd;
	(void)snprintf(socket->name, sizeof(socket->name), "%s", name);
	if (fault == NULL) {
		rc = read_address(fd, &socket->addr);
		fault = "is neither of TCP nor of the Unix domain: use "
			"ListenStream= with such an address";
	}
	if (rc < 0)
		(void)snprintf(why, why_size,
		    "descriptor %d, which the service manager passed as "
		    "\"%.255s\", %s in the .socket unit",
		    fd, name, fault);
	return rc;
}

static int
take_all(struct passed *passed, char *const *names, int count, char *why,
    size_t why_size)
{
	passed->sockets = calloc((size_t)count, sizeof(*passed->sockets));
	if (passed->sockets == NULL)
		return -ENOMEM;
	for (int i = 0; i < count; i++) {
		int rc = take(&passed->sockets[i], SD_LISTEN_FDS_START + i,
		    names[i], why, why_size);

		if (rc < 0)
			return rc;
		passed->count++;
	}
	return 0;
}

int
activation_open(struct passed *passed, char *why, size_t why_size)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	int rc = count;

	*passed = (struct passed){.count = 0};
	if (count < 0)
		(void)snprintf(why, why_size,
		    "the sockets that LISTEN_FDS and LISTEN_FDNAMES in the "
		    "environment speak of can't be had: %s",
		    strerror(-count));
	else if (count > 0)
		rc = take_all(passed, names, count, why, why_size);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return rc;
}

void
activation_close(struct passed *passed)
{
	for (uint32_t i = 0; i < passed->count; i++)
		(void)close(passed->sockets[i].fd);
	free(passed->sockets);
	*passed = (struct passed){.count = 0};
}

/* Which are in use?  Every row is looked up once: there may be thousands of
 * both. */
static void
mark_used(const struct passed *passed, const struct plan *plan)
{
	for (uint32_t i = 0; i < passed->count; i++)
		passed->sockets[i].is_used = false;
	for (uint32_t i = 0; i < 2 * plan->listeners.count; i++) {
		const struct plan_listener *row = plan_listener(plan, i / 2);
		struct passed_socket *socket = NULL;

		if (row->state == ROW_ACTIVE)
			socket = passed_find(passed, &row->addr, i % 2);
		if (socket != NULL)
			socket->is_used = true;
	}
}

void
activation_tell_missed(const struct passed *passed, const struct plan *plan)
{
	char text[ADDR_TEXT_SIZE];

	mark_used(passed, plan);
	for (uint32_t i = 0; i < passed->count; i++) {
		struct passed_socket *socket = &passed->sockets[i];
		bool was_missed = socket->is_missed;

		socket->is_missed = !socket->is_used;
		if (!socket->is_missed || was_missed)
			continue;
		log_warn("no service listens on the socket %s that the "
			 "service manager passed: clients wait there; write "
			 "listen = \"systemd:%s\" name=%s",
		    addr_format(&socket->addr, text), socket->name,
		    socket->name);
	}
}
