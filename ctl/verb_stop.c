/*
 * verb_stop - srvctl stop: end the gateway, and return when it has ended.
 *
 * The kernel tells which process serves the socket, before it is asked to
 * stop: the end of that process is waited for.  Where the kernel does not (an
 * older one, another PID namespace, a socket that was handed in), the end of
 * the connection has to do.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "ctl/command.h"
#include "ctl/reply.h"
#include "ctl/text.h"

/* After the connections' time is over: to close, log and end. */
#define END_S 30

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

/* Hold SIGINT back but in ppoll(), with *mask; the second one is not caught. */
static void
interrupt_catch(sigset_t *mask)
{
	struct sigaction action = {
	    .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
	sigset_t block;

	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &block, mask);
	(void)sigdelset(mask, SIGINT);
	(void)sigaction(SIGINT, &action, NULL);
}

/* The gateway's process, or -1. */
static int
gateway_open(const struct ctl_client *client)
{
	struct ucred peer = {.pid = 0};
	socklen_t size = sizeof(peer);

	if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ==
		-1 ||
	    peer.pid <= 1)
		return -1;
	return pidfd_open(peer.pid, 0);
}

/* Until when to wait for the end, or -1: as long as it takes. */
static int64_t
wait_until_ms(const struct command *command)
{
	if (command->timeout_s > 0)
		return (int64_t)clock_monotonic_ms() +
		    (int64_t)command->timeout_s * 1000;
	if (command->drain_s >= 0)
		return (int64_t)clock_monotonic_ms() +
		    (command->drain_s + END_S) * 1000;
	return -1;
}

/* Wait for fd: 1, 0 if the time is over, or -errno. */
static int
wait_for(int fd, int64_t until_ms, const sigset_t *mask)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	int64_t left_ms = until_ms - (int64_t)clock_monotonic_ms();
	struct timespec left;

	if (left_ms < 0)
		left_ms = 0;
	left.tv_sec = left_ms / 1000;
	left.tv_nsec = left_ms % 1000 * 1000000;
	if (ppoll(&poll_fd, 1, until_ms < 0 ? NULL : &left, mask) == -1)
		return -errno;
	return poll_fd.revents != 0;
}

/* What comes on the connection after the answer is of no interest, but for
 * its end. */
static bool
has_ended(const struct ctl_client *client, int pidfd)
{
	char dropped[4096];
	ssize_t count;

	if (pidfd >= 0)
		return true;
	count = recv(client->fd, dropped, sizeof(dropped), MSG_DONTWAIT);
	return count == 0 || (count == -1 && errno != EAGAIN && errno != EINTR);
}

static void
say_interrupted(void)
{
	if (!interrupted)
		return;
	interrupted = 0;
	fputs("srvctl: the gateway is stopping and waits for connections to "
	      "end; once more leaves it alone with that\n",
	    stderr);
}

static enum ctl_exit
wait_for_end(const struct command *command, const struct ctl_client *client,
    int pidfd, int64_t until_ms)
{
	sigset_t mask;

	interrupt_catch(&mask);
	for (;;) {
		int ready =
		    wait_for(pidfd >= 0 ? pidfd : client->fd, until_ms, &mask);

		say_interrupted();
		if (ready == 0 || (ready < 0 && ready != -EINTR))
			break;
		if (ready == 1 && has_ended(client, pidfd)) {
			if (!command->json)
				puts("the gateway has ended");
			return CTL_DONE;
		}
	}
	fputs("srvctl: the gateway has not ended in time, but goes on "
	      "stopping; 'srvctl stop --drain 0' ends it at once\n",
	    stderr);
	return CTL_UNREACHED;
}

static void
stop_print(const struct command *command, void *arg, const json_t *parameters)
{
	(void)arg;
	(void)parameters;
	if (command->no_wait)
		puts("the gateway is stopping");
}

enum ctl_exit
verb_stop(const struct command *command)
{
	int64_t until_ms = wait_until_ms(command);
	struct ctl_client client;
	enum ctl_exit status = reply_open(command, &client);
	json_t *parameters;
	int pidfd;

	if (status != CTL_DONE)
		return status;
	pidfd = gateway_open(&client);
	parameters = json_object();
	if (command->drain_s >= 0)
		(void)json_object_set_new(parameters, "drain_s",
		    json_integer(command->drain_s));
	status = reply_exchange(command, &client,
	    &(struct question){.method = REPLY_INTERFACE ".Stop",
		.parameters = parameters,
		.changes = true,
		.print = stop_print});
	if (status == CTL_DONE && !command->no_wait)
		status = wait_for_end(command, &client, pidfd, until_ms);
	ctl_client_close(&client);
	if (pidfd >= 0)
		(void)close(pidfd);
	return status;
}
