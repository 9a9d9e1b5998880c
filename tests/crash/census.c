/*
 * census - what a process has open, and whose it is; see census.h.
 */
#include "census.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "common/attr.h"
#include "harness.h"
#include "server/state/body.h"

#define SETTLE_MS 5000
#define BUT_PIPES "pipe:"
#define NUMBERS   65536
#define LINK_SIZE 160

/* Descriptors of a process */

struct listed {
	int number;
	char link[LINK_SIZE];
};

static int
by_link(const void *a, const void *b)
{
	return strcmp(((const struct listed *)a)->link,
	    ((const struct listed *)b)->link);
}

/* Sorted by their links; the caller frees them. */
static struct listed *
list_open(pid_t pid, size_t *count)
{
	struct listed *list = NULL;
	const struct dirent *entry;
	char path[48];
	DIR *dir;

	*count = 0;
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (dir == NULL)
		return NULL; /* it has ended */
	while ((entry = readdir(dir)) != NULL) {
		struct listed one = {
		    .number = (int)strtol(entry->d_name, NULL, 10)};
		struct listed *more;

		if (readlinkat(dirfd(dir), entry->d_name, one.link,
			sizeof one.link - 1) < 0)
			continue; /* . and .. and what was closed meanwhile */
		more = reallocarray(list, *count + 1, sizeof *list);
		ck_assert_ptr_nonnull(more);
		list = more;
		list[(*count)++] = one;
	}
	closedir(dir);
	if (list != NULL)
		qsort(list, *count, sizeof *list, by_link);
	return list;
}

/* Kinds */

/* But for those that begin so; NULL: none are left out. */
static char *
kinds_of(pid_t pid, const char *but)
{
	size_t count;
	struct listed *list = list_open(pid, &count);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	for (size_t i = 0; i < count; i++) {
		char *number = strstr(list[i].link, ":[");

		if (but != NULL && strncmp(list[i].link, but, strlen(but)) == 0)
			continue;
		/* Of "socket:[4711]", but not of "anon_inode:[eventpoll]". */
		if (number != NULL && number[2] >= '0' && number[2] <= '9')
			number[1] = '\0';
		fprintf(out, "%s\n", list[i].link);
	}
	ck_assert_int_eq(fclose(out), 0);
	free(list);
	return text;
}

struct kinds_question {
	pid_t pid;
	const char *but;
	const char *wanted;
	char *found;
};

static bool
has_kinds(void *arg)
{
	struct kinds_question *q = arg;

	free(q->found);
	q->found = kinds_of(q->pid, q->but);
	return strcmp(q->found, q->wanted) == 0;
}

static void
expect_kinds(pid_t pid, const char *but, const char *kinds)
{
	struct kinds_question q = {.pid = pid, .but = but, .wanted = kinds};

	ck_assert_msg(e2e_wait(has_kinds, &q, SETTLE_MS),
	    "process %d has open:\n%sand should have:\n%s", (int)pid, q.found,
	    kinds);
	free(q.found);
}

/* The master lets its control clients go one after the other: when a last one
 * has left, those of before have. */
static void
await_end_of_calls(const struct gateway *g)
{
	struct client client;

	ck_assert_int_eq(client_open(&client, g->control), 0);
	ck_assert_int_eq(shutdown(client.fd, SHUT_WR), 0);
	ck_assert(client_has_ended(&client, SETTLE_MS));
	client_close(&client);
}

void
census_learn(struct census *census, const struct gateway *g)
{
	pid_t holder = gateway_holder(g, 0);

	census_forget(census);
	await_end_of_calls(g);
	census->body = kinds_of(holder, BUT_PIPES);
	census->master = kinds_of(g->pid, NULL);
}

void
census_expect(const struct census *census, const struct gateway *g)
{
	expect_kinds(gateway_holder(g, 0), BUT_PIPES, census->body);
	expect_kinds(g->pid, NULL, census->master);
}

void
census_forget(struct census *census)
{
	free(census->body);
	free(census->master);
	*census = (struct census){.body = NULL};
}

/* A body */

struct account {
	pid_t holder;
	unsigned slots;
	unsigned most;
	unsigned places[NUMBERS]; /* of each number in the body */
	char wrong[LINK_SIZE + 96];
};

static void disagree(struct account *c, const char *format, ...)
    printf_like(2, 3);

/* What was found first is told. */
static void
disagree(struct account *c, const char *format, ...)
{
	va_list args;

	if (c->wrong[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(c->wrong, sizeof c->wrong, format, args);
	va_end(args);
}

static void
claim(struct account *c, int number)
{
	if (number < BODY_FD_FREE || number >= NUMBERS)
		disagree(c, "the body claims descriptor %d", number);
	else
		c->places[number]++;
}

static void
claim_tables(struct account *c, const struct body_head *head)
{
	for (int i = 0; i < BODY_FD_FREE; i++)
		c->places[i]++;
	for (size_t i = 0; i < BODY_PLANS; i++) {
		if (head->plans[i].generation != 0)
			claim(c, head->plans[i].fd);
	}
	for (size_t i = 0; i < BODY_SOCKETS_MAX; i++) {
		if (head->listener_fd[i] != 0)
			claim(c, head->listener_fd[i]);
	}
	for (size_t i = 0; i < head->pipes_max; i++) {
		const struct body_pipe *pipe = &head->pipes[i];

		if (pipe->state != PIPE_READY)
			continue;
		claim(c, pipe->fd[0]);
		claim(c, pipe->fd[1]);
	}
	if (head->give.transfer != 0 && head->give.fd != 0)
		claim(c, head->give.fd);
	if (head->take.transfer != 0)
		claim(c, head->take.fd);
}

static void
claim_slots(struct account *c, const struct body *body)
{
	unsigned slots = 0;

	for (uint32_t i = 0; i < body->head->slots_used; i++) {
		const struct slot *slot = &body->slots[i];

		if (slot->state == CONN_FREE)
			continue;
		slots++;
		for (unsigned side = 0; side < SIDES; side++) {
			if (slot->fd[side] != 0)
				claim(c, slot->fd[side]);
		}
	}
	if (slots != c->slots)
		disagree(c, "the body has %u slots in use, not %u", slots,
		    c->slots);
	if (body->head->slots_used > c->most)
		disagree(c, "the body has used %u slots, for %u at most",
		    body->head->slots_used, c->most);
}

static void
compare(struct account *c)
{
	size_t count;
	struct listed *list = list_open(c->holder, &count);

	for (size_t i = 0; i < count; i++) {
		int number = list[i].number;

		if (number >= NUMBERS || c->places[number] != 1)
			disagree(c, "descriptor %d (%s) stands in %u places",
			    number, list[i].link,
			    number < NUMBERS ? c->places[number] : 0);
		else
			c->places[number] = 0;
	}
	for (int number = 0; number < NUMBERS; number++) {
		if (c->places[number] != 0)
			disagree(c, "descriptor %d is claimed and not open",
			    number);
	}
	free(list);
}

static void
look(struct account *c)
{
	struct body body;
	char path[48];
	int fd;
	int rc;

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)c->holder,
	    BODY_FD_BODY);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		disagree(c, "%s: %s", path, strerror(errno));
		return;
	}
	rc = body_map(fd, 0, &body);
	close(fd);
	if (rc < 0) {
		disagree(c, "%s is no body: %s", path, strerror(-rc));
		return;
	}
	claim_tables(c, body.head);
	claim_slots(c, &body);
	body_unmap(&body);
	compare(c);
}

static bool
is_even(void *arg)
{
	struct account *c = arg;

	memset(c->places, 0, sizeof c->places);
	c->wrong[0] = '\0';
	look(c);
	return c->wrong[0] == '\0';
}

void
census_expect_body(pid_t holder, unsigned slots, unsigned most)
{
	static struct account account;

	account.holder = holder;
	account.slots = slots;
	account.most = most;
	ck_assert_msg(e2e_wait(is_even, &account, SETTLE_MS), "holder %d: %s",
	    (int)holder, account.wrong);
}
