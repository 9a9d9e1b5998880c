/*
 * notify - what the service manager is told; see notify.h.
 *
 * The protocol is datagrams of KEY=VALUE lines.  They are sent from here and
 * not by sd_notify(3), which waits as long as the manager's queue is full.
 *
 * Invariants
 *  N1  What could not be sent is kept as what is owed, never as a queue, and
 *      tried again by timer.
 *  N2  The watchdog is fed by a timer of the loop and nowhere else: a loop
 *      that hangs feeds nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/clock.h"
#include "common/log.h"
#include "server/master/master.h"
#include "server/master/notify.h"
#include "server/master/status.h"
#include "server/state/channel.h"

#define STATUS_MS 2000 /* how old the line about connections may be */
#define RETRY_MS  100
/* While it stops: ask for so much more time, so often. */
#define EXTEND_MS       10000
#define EXTEND_EVERY_MS 1000
/* What follows upon the time to drain until everything is killed. */
_Static_assert(CHANNEL_SPREAD_MS + MASTER_STOP_GRACE_MS < EXTEND_MS,
    "a stop may take longer than is asked for");

#define STATUS_SIZE 1024
#define WORDS_SIZE  80

struct notify {
	struct master *m;
	int fd;
	struct sockaddr_storage to;
	socklen_t to_length;
	bool is_ready;         /* it has begun to serve */
	bool is_reloading;     /* and is told of it */
	bool owes_ready;       /* N1 */
	bool owes_stopping;    /* N1 */
	uint64_t reloading_us; /* N1: when it began; 0: nothing is owed */
	bool has_failed;       /* to send, and that was logged */
	char said[STATUS_SIZE];
	struct loop_timer look;
	struct loop_timer beat; /* N2 */
	uint64_t beat_ms;       /* 0: no watchdog */
};

/* The line about the state */

static uint64_t
count_connections(const struct master *m)
{
	uint64_t count = 0;

	for (int i = board_next_live(&m->board, -1); i >= 0;
	     i = board_next_live(&m->board, i))
		count += atomic_load(&board_row(&m->board, (uint32_t)i)
					  ->connections);
	return count;
}

static uint32_t
count_running(const struct master *m)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->bodies.count; i++)
		count += status_worker_runs(m, i);
	return count;
}

static const char *
plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void
describe_serving(const struct master *m, char *text, size_t size)
{
	uint64_t services = plan_active_services(m->plan);
	uint64_t connections = count_connections(m);
	uint32_t running = count_running(m);
	char some[32] = "";

	if (running < m->bodies.count)
		(void)snprintf(some, sizeof(some), "%u of ", running);
	(void)snprintf(text, size,
	    "Serving %llu service%s, %s%u worker%s, generation %llu, "
	    "%llu connection%s%s%s",
	    (unsigned long long)services, plural(services), some,
	    m->bodies.count, plural(m->bodies.count),
	    (unsigned long long)m->plan->generation,
	    (unsigned long long)connections, plural(connections),
	    m->reload_ok ? "" : "; the last reload was refused: ",
	    m->reload_ok ? "" : m->reload_message);
}

static void
describe_stopping(const struct master *m, char *text, size_t size)
{
	uint64_t connections = count_connections(m);

	(void)snprintf(text, size, "Stopping: %llu connection%s",
	    (unsigned long long)connections, plural(connections));
	if (m->phase == MASTER_DRAINING)
		(void)snprintf(text + strlen(text), size - strlen(text),
		    ", at most %llu s more",
		    (unsigned long long)((status_stop_left_ms(m) + 999) /
			1000));
}

static void
describe(const struct notify *n, char text[STATUS_SIZE])
{
	const struct master *m = n->m;

	if (m->phase != MASTER_SERVING)
		describe_stopping(m, text, STATUS_SIZE);
	else if (n->is_reloading)
		(void)snprintf(text, STATUS_SIZE, "Reloading");
	else if (n->is_ready)
		describe_serving(m, text, STATUS_SIZE);
	else
		(void)snprintf(text, STATUS_SIZE,
		    "Starting: %u of %u workers run", count_running(m),
		    m->bodies.count);
	(void)log_printable(text);
}

/* Sending */

static bool
send_text(struct notify *n, const char *text)
{
	if (sendto(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		(const struct sockaddr *)&n->to, n->to_length) >= 0)
		return true;
	if (errno != EAGAIN && !n->has_failed)
		log_warn("the service manager can't be told: %s",
		    strerror(errno));
	n->has_failed = n->has_failed || errno != EAGAIN;
	return false;
}

/* Words, and the line about the state if it has changed. */
static bool
say(struct notify *n, const char *words)
{
	char text[WORDS_SIZE + STATUS_SIZE + sizeof("STATUS=\n")];
	char status[STATUS_SIZE];
	bool is_new;

	describe(n, status);
	is_new = strcmp(status, n->said) != 0;
	if (!is_new && *words == '\0')
		return true;
	(void)snprintf(text, sizeof(text), "%s%s%s%s", words,
	    is_new ? "STATUS=" : "", is_new ? status : "", is_new ? "\n" : "");
	if (!send_text(n, text))
		return false;
	memcpy(n->said, status, sizeof(n->said));
	return true;
}

static bool
say_reloading(struct notify *n)
{
	char words[WORDS_SIZE];

	(void)snprintf(words, sizeof(words),
	    "RELOADING=1\nMONOTONIC_USEC=%llu\n",
	    (unsigned long long)n->reloading_us);
	if (!say(n, words))
		return false;
	n->reloading_us = 0;
	return true;
}

static bool
say_stopping(struct notify *n)
{
	const struct master *m = n->m;
	char words[WORDS_SIZE];

	/* Whoever does not end although everything was killed gets no more. */
	if (loop_now_ms(m->loop) > m->stop_at_ms + EXTEND_MS)
		return say(n, "");
	(void)snprintf(words, sizeof(words), "%sEXTEND_TIMEOUT_USEC=%llu\n",
	    n->owes_stopping ? "STOPPING=1\n" : "",
	    EXTEND_MS * (unsigned long long)1000);
	if (!say(n, words))
		return false;
	n->owes_stopping = false;
	return true;
}

/* Whatever is owed, in its order, and what has changed. */
static bool
say_all(struct notify *n)
{
	if (n->m->phase != MASTER_SERVING)
		return say_stopping(n);
	if (n->reloading_us != 0 && !say_reloading(n))
		return false;
	if (!n->owes_ready)
		return say(n, "");
	if (!say(n, "READY=1\n"))
		return false;
	n->owes_ready = false;
	return true;
}

static void
look(struct notify *n)
{
	uint64_t after_ms =
	    n->m->phase == MASTER_SERVING ? STATUS_MS : EXTEND_EVERY_MS;

	if (!say_all(n))
		after_ms = RETRY_MS;
	loop_timer_set(n->m->loop, &n->look, after_ms);
}

static void
on_look(struct loop_timer *timer)
{
	look(timer->arg);
}

static void
on_beat(struct loop_timer *timer)
{
	struct notify *n = timer->arg;
	bool is_fed = send_text(n, "WATCHDOG=1\n");

	loop_timer_set(n->m->loop, timer,
	    is_fed || n->beat_ms < RETRY_MS ? n->beat_ms : RETRY_MS);
}

/* What happens */

void
notify_on_worker(struct master *m)
{
	struct notify *n = m->notify;

	if (n == NULL || n->is_ready || m->phase != MASTER_SERVING)
		return;
	n->is_ready = count_running(m) == m->bodies.count;
	n->owes_ready = n->is_ready;
	look(n);
}

void
notify_collecting(struct master *m)
{
	char text[WORDS_SIZE];

	if (m->notify == NULL)
		return;
	(void)snprintf(text, sizeof(text),
	    "EXTEND_TIMEOUT_USEC=%llu\nWATCHDOG=1\n",
	    EXTEND_MS * (unsigned long long)1000);
	(void)send_text(m->notify, text);
}

/* Before it is ready a reload is a part of the start. */
void
notify_reloading(struct master *m)
{
	struct notify *n = m->notify;

	if (n == NULL || !n->is_ready || m->phase != MASTER_SERVING)
		return;
	n->is_reloading = true;
	n->owes_ready = false;
	n->reloading_us = clock_monotonic_us();
	look(n);
}

void
notify_reloaded(struct master *m)
{
	struct notify *n = m->notify;

	if (n == NULL || !n->is_reloading || m->phase != MASTER_SERVING)
		return;
	n->is_reloading = false;
	n->owes_ready = true;
	look(n);
}

void
notify_upgrading(struct master *m, const char *version)
{
	struct notify *n = m->notify;
	char text[WORDS_SIZE + STATUS_SIZE];

	if (n == NULL)
		return;
	(void)snprintf(text, sizeof(text), "WATCHDOG=1\nSTATUS=Upgrading to %s",
	    version);
	/* If nothing comes of it, the line of before is new again. */
	n->said[0] = '\0';
	(void)send_text(n, text);
}

void
notify_stopping(struct master *m)
{
	struct notify *n = m->notify;

	if (n == NULL)
		return;
	n->owes_stopping = true;
	look(n);
}

void
notify_failed(struct master *m, const char *why)
{
	struct notify *n = m->notify;
	char text[WORDS_SIZE + STATUS_SIZE];

	if (n == NULL)
		return;
	(void)snprintf(text, sizeof(text), "STATUS=Can't start: %s", why);
	(void)send_text(n, log_printable(text));
}

/* Begin and end */

/* A path, or with an '@' in front an abstract name, as in the
 * configuration's addresses. */
static int
read_socket(struct notify *n, const char *name)
{
	struct addr addr = {.kind = ADDR_UNIX};
	int length;

	if ((*name != '/' && *name != '@') || strlen(name) >= sizeof(addr.path))
		return -EAFNOSUPPORT;
	memcpy(addr.path, name, strlen(name) + 1);
	length = addr_to_sockaddr(&addr, &n->to);
	if (length < 0)
		return length;
	n->to_length = (socklen_t)length;
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return n->fd < 0 ? -errno : 0;
}

/* Half of what the manager waits is what it advises (sd_watchdog_enabled(3)). */
static void
begin_beat(struct notify *n, uint64_t watchdog_us)
{
	if (watchdog_us == 0)
		return;
	n->beat_ms = watchdog_us / 2000;
	if (n->beat_ms == 0)
		n->beat_ms = 1;
	loop_timer_set(n->m->loop, &n->beat, 0);
}

static int
begin(struct master *m, const char *name, uint64_t watchdog_us)
{
	struct notify *n = calloc(1, sizeof(*n));
	int rc;

	if (n == NULL)
		return -ENOMEM;
	n->m = m;
	n->look = (struct loop_timer){.due = on_look, .arg = n};
	n->beat = (struct loop_timer){.due = on_beat, .arg = n};
	rc = read_socket(n, name);
	if (rc < 0) {
		log_warn("NOTIFY_SOCKET can't be used, so the service manager "
			 "is told nothing: %s",
		    strerror(-rc));
		free(n);
		return 0;
	}
	m->notify = n;
	begin_beat(n, watchdog_us);
	return 0;
}

int
notify_open(struct master *m)
{
	const char *name = getenv("NOTIFY_SOCKET");
	uint64_t watchdog_us = 0;
	int rc = 0;

	/* Not for us, or nonsense: as if there were none. */
	if (sd_watchdog_enabled(1, &watchdog_us) <= 0)
		watchdog_us = 0;
	if (name != NULL && *name != '\0')
		rc = begin(m, name, watchdog_us);
	(void)unsetenv("NOTIFY_SOCKET");
	return rc;
}

void
notify_close(struct master *m)
{
	struct notify *n = m->notify;

	if (n == NULL)
		return;
	loop_timer_cancel(m->loop, &n->look);
	loop_timer_cancel(m->loop, &n->beat);
	(void)close(n->fd);
	free(n);
	m->notify = NULL;
}
