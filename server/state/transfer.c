/*
 * transfer - the messages of a hand-over; see transfer.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/state/channel.h"
#include "server/state/transfer.h"

union control_room {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int) * TRANSFER_FDS_MAX)];
};

/* Records as they came: their sender's may be longer than ours. */
static char received[TRANSFER_BATCH_MAX * TRANSFER_RECORD_MAX];

uint32_t
transfer_fds_of(const struct transfer_record *record)
{
	return 1U + (record->has_backend_fd != 0) +
	    2U * (record->flows[FLOW_UP].has_pipe != 0) +
	    2U * (record->flows[FLOW_DOWN].has_pipe != 0);
}

int
transfer_open(int fds[2])
{
	return socketpair(AF_UNIX,
		   SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0
	    ? -errno
	    : 0;
}

void
transfer_init(struct transfer_message *message, enum transfer_type type)
{
	message->head = (struct transfer_head){
	    .version = TRANSFER_VERSION,
	    .type = type,
	    .record_size = sizeof(message->records[0]),
	};
	message->fds_count = 0;
}

int
transfer_send(int fd, const struct transfer_message *message)
{
	struct iovec iov[2] = {
	    {(void *)&message->head, sizeof(message->head)},
	    {(void *)message->records,
		sizeof(message->records[0]) * message->head.count},
	};
	struct msghdr header = {.msg_iov = iov, .msg_iovlen = 2};
	uint32_t count = message->fds_count;
	union control_room control;

	if (count > 0)
		channel_attach_fds(&header, &control, message->fds, count);
	return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno
								     : 0;
}

void
transfer_close_fds(struct transfer_message *message)
{
	while (message->fds_count > 0)
		close(message->fds[--message->fds_count]);
}

/* False if there were more than fit; those are closed. */
static bool
take_fds(struct msghdr *header, struct transfer_message *message)
{
	bool fits = true;
	size_t count;
	int fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL;
	     c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(fd);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			fits = message->fds_count < TRANSFER_FDS_MAX;
			if (fits)
				message->fds[message->fds_count++] = fd;
			else
				close(fd);
		}
	}
	return fits;
}

/* Is it a message of this version, of the length that it says? */
static bool
is_well_formed(const struct transfer_head *head, size_t length)
{
	if (length < sizeof(*head) || head->version != TRANSFER_VERSION)
		return false;
	length -= sizeof(*head);
	if (head->type == TRANSFER_HAVE)
		return head->count == 0 && length == 0;
	return head->type == TRANSFER_BATCH &&
	    head->count <= TRANSFER_BATCH_MAX &&
	    head->record_size >= TRANSFER_RECORD_MIN &&
	    head->record_size <= TRANSFER_RECORD_MAX &&
	    length == (size_t)head->count * head->record_size;
}

/* What ours has more than the sender's is 0. */
static void
decode(struct transfer_message *message)
{
	size_t theirs = message->head.record_size;
	size_t ours = sizeof(message->records[0]);

	for (uint32_t i = 0; i < message->head.count; i++) {
		memset(&message->records[i], 0, ours);
		memcpy(&message->records[i], received + i * theirs,
		    theirs < ours ? theirs : ours);
	}
}

/* Has every record its descriptors, and every descriptor a record? */
static bool
are_fds_right(const struct transfer_message *message)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < message->head.count; i++)
		count += transfer_fds_of(&message->records[i]);
	return count == message->fds_count;
}

/* The kernel tells of an end that left something unread before it gives out
 * what came from there. */
static ssize_t
receive(int fd, struct msghdr *header)
{
	struct msghdr again = *header;
	ssize_t n = recvmsg(fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n >= 0 || errno != ECONNRESET)
		return n;
	*header = again;
	return recvmsg(fd, header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

int
transfer_receive(int fd, struct transfer_message *message)
{
	union control_room control;
	struct iovec iov[2] = {
	    {&message->head, sizeof(message->head)},
	    {received, sizeof(received)},
	};
	struct msghdr header = {
	    .msg_iov = iov,
	    .msg_iovlen = 2,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control),
	};
	ssize_t n = receive(fd, &header);
	int rc = -EPROTO;

	message->fds_count = 0;
	if (n < 0)
		return -errno;
	if (take_fds(&header, message) && (header.msg_flags & MSG_TRUNC) == 0 &&
	    is_well_formed(&message->head, (size_t)n)) {
		decode(message);
		if ((header.msg_flags & MSG_CTRUNC) != 0)
			rc = -EMFILE;
		else if (are_fds_right(message))
			return 1;
	}
	transfer_close_fds(message);
	return n == 0 ? 0 : rc;
}
