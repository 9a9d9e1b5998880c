/*
 * raw - messages with descriptors as anybody could send them.
 */
#ifndef SRVD_TESTS_RAW_H
#define SRVD_TESTS_RAW_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

/* What the kernel passes at most (SCM_MAX_FD). */
#define RAW_FDS_MAX 253

/* Send bytes, and passed so many times.  Returns 0 or -1 with errno. */
static inline int
raw_send(int fd, const void *bytes, size_t length, int passed, uint32_t times)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int) * RAW_FDS_MAX)];
	} control;
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = length};
	struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *cmsg;

	if (times > 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * times);
		cmsg = CMSG_FIRSTHDR(&header);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * times);
		for (uint32_t i = 0; i < times; i++)
			memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &passed,
			    sizeof(int));
	}
	return sendmsg(fd, &header, MSG_DONTWAIT) == (ssize_t)length ? 0 : -1;
}

#endif
