/*
 * load - groups of checked streams and the loop that drives them; see load.h.
 * What one end of a stream does stands in end.c.
 */
#include "load.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "net.h"
#include "stream.h"

#define EVENTS_MAX  256
#define ACCEPTS_MAX 64

struct load *
load_new(void)
{
	struct load *load = calloc(1, sizeof *load);

	ck_assert_ptr_nonnull(load);
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_msg(load->epoll_fd >= 0, "epoll: %s", strerror(errno));
	TAILQ_INIT(&load->paused);
	TAILQ_INIT(&load->graveyard);
	LIST_INIT(&load->ends);
	LIST_INIT(&load->streams);
	LIST_INIT(&load->gone);
	return load;
}

static void
graveyard_clear(struct load *load)
{
	struct end *end;

	while ((end = TAILQ_FIRST(&load->graveyard)) != NULL) {
		TAILQ_REMOVE(&load->graveyard, end, link);
		free(end);
	}
}

static void
streams_free(struct stream *stream)
{
	while (stream != NULL) {
		struct stream *next = LIST_NEXT(stream, all);

		free(stream);
		stream = next;
	}
}

void
load_free(struct load *load)
{
	struct end *end;

	while ((end = LIST_FIRST(&load->ends)) != NULL)
		end_close(end);
	graveyard_clear(load);
	for (unsigned i = 0; i < load->listeners_count; i++)
		close(load->listeners[i].fd);
	streams_free(LIST_FIRST(&load->streams));
	streams_free(LIST_FIRST(&load->gone));
	close(load->epoll_fd);
	free(load);
}

void
load_listen(struct load *load, const char *address, char bound[ADDR_TEXT_SIZE])
{
	struct listener *listener = &load->listeners[load->listeners_count];
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};

	ck_assert_uint_lt(load->listeners_count, LOAD_LISTENERS_MAX);
	load->listeners_count++;
	listener->kind = KIND_LISTENER;
	listener->fd = net_listen(address, 4096, bound);
	net_set_blocking(listener->fd, false);
	ck_assert_msg(epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, listener->fd,
			  &event) == 0,
	    "epoll_ctl: %s", strerror(errno));
}

void
load_add(struct load *load, const char *target, const struct load_spec *spec,
    unsigned concurrency, unsigned total)
{
	struct group *group = &load->groups[load->groups_count];

	ck_assert_uint_lt(load->groups_count, LOAD_GROUPS_MAX);
	load->groups_count++;
	group->spec = *spec;
	group->concurrency = concurrency;
	group->total = total;
	group->length = net_sockaddr(target, &group->target);
}

void
load_stop_opening(struct load *load)
{
	for (unsigned i = 0; i < load->groups_count; i++)
		load->groups[i].stopped = true;
}

static bool
group_wants_more(const struct group *group)
{
	if (group->stopped || group->running >= group->concurrency)
		return false;
	return group->total == 0 || group->opened < group->total;
}

void
load_open_again(struct load *load)
{
	for (unsigned i = 0; i < load->groups_count; i++)
		load->groups[i].stopped = false;
}

/* Does any stream run, or is one still to be opened? */
static bool
load_is_busy(const struct load *load, const char *label)
{
	for (unsigned i = 0; i < load->groups_count; i++) {
		const struct group *group = &load->groups[i];

		if (label != NULL && strcmp(label, group->spec.label) != 0)
			continue;
		if (group->running > 0 || group_wants_more(group))
			return true;
	}
	return false;
}

static void
groups_fill(struct load *load)
{
	for (unsigned i = 0; i < load->groups_count; i++) {
		struct group *group = &load->groups[i];

		while (group_wants_more(group))
			stream_open(load, group);
	}
}

static void
listener_accept(struct load *load, const struct listener *listener)
{
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int fd = accept4(listener->fd, NULL, NULL,
		    SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && (errno == EAGAIN || errno == ECONNABORTED))
			return;
		ck_assert_msg(fd >= 0, "accept: %s", strerror(errno));
		end_new_server(load, fd);
	}
}

static void
ends_wake(struct load *load)
{
	uint64_t now = e2e_now_ms();
	struct end *end;

	/* All pauses of a load are about as long, so the first come is the
	 * first due; a shorter one behind it waits a little longer. */
	while ((end = TAILQ_FIRST(&load->paused)) != NULL &&
	    end->wake_ms <= now)
		end_wake(end);
}

void
load_turn(struct load *load, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int n;

	groups_fill(load);
	if (!TAILQ_EMPTY(&load->paused) && timeout_ms > 1)
		timeout_ms = 1;
	n = epoll_wait(load->epoll_fd, events, EVENTS_MAX, timeout_ms);
	ck_assert_msg(n >= 0 || errno == EINTR, "epoll: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		const enum kind *kind = events[i].data.ptr;

		if (*kind == KIND_LISTENER)
			listener_accept(load, events[i].data.ptr);
		else if (*kind == KIND_END)
			end_ready(events[i].data.ptr, events[i].events);
	}
	ends_wake(load);
	graveyard_clear(load);
}

void
load_run(struct load *load, int ms)
{
	uint64_t end = e2e_now_ms() + (uint64_t)ms;
	uint64_t now;

	while ((now = e2e_now_ms()) < end)
		load_turn(load, (int)(end - now));
}

void
load_run_bytes(struct load *load, uint64_t bytes)
{
	uint64_t end = e2e_now_ms() + 20000;

	while (load->counts.bytes < bytes) {
		ck_assert_msg(e2e_now_ms() < end,
		    "only %llu bytes came; errors: %s",
		    (unsigned long long)load->counts.bytes,
		    load->counts.errors);
		load_turn(load, 10);
	}
}

/* Tell of one stream that did not end, so that its state can be understood. */
static void
load_tell_stuck(const struct load *load, char *text, size_t size)
{
	snprintf(text, size, "none");
	if (!LIST_EMPTY(&load->streams))
		stream_describe(LIST_FIRST(&load->streams), text, size);
}

void
load_finish_labelled(struct load *load, const char *label, int timeout_ms)
{
	uint64_t end = e2e_now_ms() + (uint64_t)timeout_ms;
	char stuck[400];

	while (load_is_busy(load, label) && e2e_now_ms() < end)
		load_turn(load, 20);
	if (!load_is_busy(load, label))
		return;
	load_tell_stuck(load, stuck, sizeof stuck);
	ck_abort_msg("%u of %u streams still run after %d ms (%u done, "
		     "%u lost), for one %s; errors: %s",
	    load->counts.running, load->counts.opened, timeout_ms,
	    load->counts.done, load->counts.lost, stuck, load->counts.errors);
}

void
load_finish(struct load *load, int timeout_ms)
{
	load_finish_labelled(load, NULL, timeout_ms);
}

void
load_release(struct load *load)
{
	struct end *end;

	LIST_FOREACH(end, &load->ends, all) {
		end->held = false;
		end_watch(end);
	}
}

const struct load_counts *
load_counts(const struct load *load)
{
	return &load->counts;
}

void
load_expect_exact(const struct load *load)
{
	const struct load_counts *counts = &load->counts;

	ck_assert_msg(counts->lost == 0 && counts->wrong == 0 &&
		counts->done > 0,
	    "of %u streams %u were lost and %u wrong, first: %s",
	    counts->opened, counts->lost, counts->wrong, counts->errors);
}
