/*
 * upgrade_order - from program to program; see upgrade_order.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/master/upgrade_order.h"

/* As text: these numbers, the version, the file; with spaces between. */
enum order_number {
	ORDER_PROCESS,
	ORDER_WAITER,
	ORDER_WAITER_IS_LAST,
	ORDER_HEIR,
	ORDER_HEIR_DEVICE,
	ORDER_HEIR_INODE,
	ORDER_STARTED_MS,
	ORDER_NUMBERS
};

void
upgrade_order_write(const struct upgrade_order *order,
    char text[UPGRADE_ORDER_SIZE])
{
	const long long numbers[ORDER_NUMBERS] = {
	    [ORDER_PROCESS] = getpid(),
	    [ORDER_WAITER] = order->waiter_fd,
	    [ORDER_WAITER_IS_LAST] = order->waiter_is_last,
	    [ORDER_HEIR] = order->heir.fd,
	    [ORDER_HEIR_DEVICE] = (long long)order->heir.device,
	    [ORDER_HEIR_INODE] = (long long)order->heir.inode,
	    [ORDER_STARTED_MS] = (long long)order->started_ms,
	};
	int length = 0;

	for (size_t i = 0; i < ORDER_NUMBERS; i++)
		length += snprintf(text + length,
		    UPGRADE_ORDER_SIZE - (size_t)length, "%lld ", numbers[i]);
	(void)snprintf(text + length, UPGRADE_ORDER_SIZE - (size_t)length,
	    "%s %s", order->from, order->home);
}

/* A socket, which is not to be kept any longer than by us? */
static bool
take_socket(int fd, int option)
{
	struct ucred value;
	socklen_t length = sizeof(value);

	return fd > STDERR_FILENO &&
	    getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 &&
	    fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/* Returns what follows the numbers, or NULL. */
static const char *
read_numbers(const char *text, long long numbers[ORDER_NUMBERS])
{
	for (size_t i = 0; i < ORDER_NUMBERS; i++) {
		char *end;

		errno = 0;
		numbers[i] = strtoll(text, &end, 10);
		if (errno != 0 || end == text || *end != ' ')
			return NULL;
		text = end + 1;
	}
	return text;
}

static bool
read_words(struct upgrade_order *order, const char *text)
{
	size_t length = strcspn(text, " ");

	if (length == 0 || length >= sizeof(order->from))
		return false;
	memcpy(order->from, text, length);
	order->from[length] = '\0';
	if (text[length] == ' ')
		(void)snprintf(order->home, sizeof(order->home), "%s",
		    text + length + 1);
	return true;
}

/* Only what was meant for this process: an environment goes far. */
bool
upgrade_order_read(struct upgrade_order *order, const char *text,
    uint64_t now_ms)
{
	long long numbers[ORDER_NUMBERS];
	const char *words = text == NULL ? NULL : read_numbers(text, numbers);

	*order = (struct upgrade_order){.waiter_fd = -1, .heir = {.fd = -1}};
	if (words == NULL || numbers[ORDER_PROCESS] != getpid() ||
	    (uint64_t)numbers[ORDER_STARTED_MS] > now_ms ||
	    !read_words(order, words))
		return false;
	if (take_socket((int)numbers[ORDER_WAITER], SO_PEERCRED))
		order->waiter_fd = (int)numbers[ORDER_WAITER];
	if (take_socket((int)numbers[ORDER_HEIR], SO_ACCEPTCONN))
		order->heir.fd = (int)numbers[ORDER_HEIR];
	order->waiter_is_last = numbers[ORDER_WAITER_IS_LAST] != 0;
	order->heir.device = (uint64_t)numbers[ORDER_HEIR_DEVICE];
	order->heir.inode = (uint64_t)numbers[ORDER_HEIR_INODE];
	order->started_ms = (uint64_t)numbers[ORDER_STARTED_MS];
	return true;
}
