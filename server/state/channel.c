/*
 * channel - the messages between the master and a worker; see channel.h.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/state/channel.h"

#define HEAD_SIZE offsetof(struct channel_message, text)

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

union control_room {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX) +
	    CMSG_SPACE(sizeof(struct ucred))];
};

void
channel_refuse_fds(int fd)
{
	static const int off = 0;

	/* Nobody passes the master a descriptor: closing one that lingers
	 * could block it.  Older kernels don't know this. */
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
}

int
channel_open_door(int *fd)
{
	static const int on = 1;
	int rc;

	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	if (setsockopt(*fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0)
		return 0;
	rc = -errno;
	close(*fd);
	*fd = -1;
	return rc;
}

int
channel_open(int fds[2])
{
	static const int on = 1;
	int rc;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
		0, fds) < 0)
		return -errno;
	if (setsockopt(fds[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0) {
		channel_refuse_fds(fds[0]);
		return 0;
	}
	rc = -errno;
	close(fds[0]);
	close(fds[1]);
	return rc;
}

void
channel_init(struct channel_message *message, enum channel_type type)
{
	memset(message, 0, HEAD_SIZE);
	message->version = CHANNEL_VERSION;
	message->type = type;
}

void
channel_attach_fds(struct msghdr *header, void *room, const int *fds,
    uint32_t count)
{
	struct cmsghdr *cmsg;

	memset(room, 0, CMSG_SPACE(sizeof(int) * count));
	header->msg_control = room;
	header->msg_controllen = CMSG_SPACE(sizeof(int) * count);
	cmsg = CMSG_FIRSTHDR(header);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * count);
}

int
channel_send(int fd, const struct channel_message *message, const int *fds,
    uint32_t count)
{
	struct iovec iov = {
	    .iov_base = (void *)message,
	    .iov_len = HEAD_SIZE + message->text_length,
	};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	union control_room control;

	if (count > CHANNEL_FDS_MAX || message->text_length > CHANNEL_TEXT_MAX)
		return -EINVAL;
	if (count > 0)
		channel_attach_fds(&header, &control, fds, count);
	if (sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

bool
channel_is_over(int error)
{
	return error == -EPIPE || error == -ECONNRESET ||
	    error == -ECONNREFUSED;
}

void
channel_close_fd(int fd)
{
	static const struct linger off;

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
	close(fd);
}

void
channel_close_fds(struct channel_extra *extra, uint32_t first)
{
	for (uint32_t i = first; i < extra->fds_count; i++)
		channel_close_fd(extra->fds[i]);
	extra->fds_count = first < extra->fds_count ? first : extra->fds_count;
}

/* False if there were more than fit; those are closed. */
static int
take_fds(struct cmsghdr *cmsg, size_t bytes, struct channel_extra *extra)
{
	int fd;

	for (size_t at = 0; at + sizeof(fd) <= bytes; at += sizeof(fd)) {
		memcpy(&fd, CMSG_DATA(cmsg) + at, sizeof(fd));
		if (extra->fds_count < CHANNEL_FDS_MAX)
			extra->fds[extra->fds_count++] = fd;
		else
			channel_close_fd(fd);
	}
	return bytes <= sizeof(extra->fds);
}

static int
take_extra(struct msghdr *header, struct channel_extra *extra)
{
	struct ucred cred;
	size_t bytes;
	int fits = 1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL;
	     c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		bytes = c->cmsg_len - CMSG_LEN(0);
		if (c->cmsg_type == SCM_RIGHTS) {
			fits = take_fds(c, bytes, extra);
		} else if (c->cmsg_type == SCM_CREDENTIALS &&
		    bytes == sizeof(cred)) {
			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			extra->pid = cred.pid;
		}
	}
	return fits;
}

static int
is_well_formed(const struct channel_message *message, size_t length, int flags)
{
	return (flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && length >= HEAD_SIZE &&
	    message->version == CHANNEL_VERSION &&
	    message->type < CHANNEL_TYPES &&
	    message->text_length <= CHANNEL_TEXT_MAX &&
	    message->text_length == length - HEAD_SIZE;
}

/* Where its version stands is the same in all. */
static bool
is_anothers(const struct channel_message *message, size_t length)
{
	return length >= offsetof(struct channel_message, generation) &&
	    message->version != CHANNEL_VERSION;
}

int
channel_receive(int fd, struct channel_message *message,
    struct channel_extra *extra)
{
	union control_room control;
	struct iovec iov = {.iov_base = message, .iov_len = sizeof(*message)};
	struct msghdr header = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fits;
	int rc = -EPROTO;

	extra->pid = 0;
	extra->fds_count = 0;
	if (n < 0)
		return -errno;
	fits = take_extra(&header, extra);
	/* No message is empty, so nothing is the end; but whoever sends an
	 * empty one to the master is named with it. */
	if (n == 0 && header.msg_controllen == 0)
		return 0;
	if (fits && is_well_formed(message, (size_t)n, header.msg_flags))
		return 1;
	if (is_anothers(message, (size_t)n))
		rc = -EPROTONOSUPPORT;
	/* Cut, although there was room for more descriptors here. */
	if (extra->fds_count < CHANNEL_FDS_MAX &&
	    header.msg_flags == (MSG_CTRUNC | MSG_CMSG_CLOEXEC) &&
	    is_well_formed(message, (size_t)n, 0))
		rc = -EMFILE;
	channel_close_fds(extra, 0);
	return rc;
}
