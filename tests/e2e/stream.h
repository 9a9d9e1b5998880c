/*
 * stream - one checked stream of a load and its two ends.
 *
 * Only load.c, stream.c and end.c include this.
 *
 * Invariants
 *  S1  An end that was closed stays in memory until the turn is over: events
 *      of it may still be in the loop's hands.
 *  S2  The first verdict on a stream stands; its ends are closed with it.
 *
 * Runs in: a test.
 */
#ifndef SRVD_TESTS_STREAM_H
#define SRVD_TESTS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "load.h"

#define LOAD_LISTENERS_MAX 8
#define LOAD_GROUPS_MAX    96

/* The first half of every header. */
#define STREAM_MAGIC 0x6d61657274737665ULL

/* What an event's pointer points to begins with one of these. */
enum kind {
	KIND_LISTENER,
	KIND_END,
	KIND_GONE
};

struct listener {
	enum kind kind;
	int fd;
};

struct group {
	struct load_spec spec;
	struct sockaddr_storage target;
	socklen_t length;
	unsigned concurrency;
	unsigned total;
	unsigned opened;
	unsigned running;
	bool stopped;
};

struct stream;

struct end {
	enum kind kind;
	struct load *load;
	struct stream *stream; /* NULL: the header has not yet come */
	int fd;
	bool client;
	bool connecting;
	bool held; /* neither reads nor ends */
	bool eof;  /* the other end's FIN has come */
	bool fin_sent;
	uint64_t sent;
	uint64_t received;
	uint64_t wake_ms; /* paused until then; 0: not */
	uint32_t watched; /* events in epoll; 0: not there */
	uint8_t header[LOAD_HEADER];
	TAILQ_ENTRY(end) link; /* paused, or graveyard */
	LIST_ENTRY(end) all;
};

struct stream {
	uint64_t id; /* how many were opened before it */
	struct load *load;
	struct group *group;
	struct end *client; /* NULL: closed */
	struct end *server; /* NULL: not yet come, or closed */
	bool server_came;
	LIST_ENTRY(stream) all;
};

struct load {
	int epoll_fd;
	struct load_counts counts;
	struct listener listeners[LOAD_LISTENERS_MAX];
	unsigned listeners_count;
	struct group groups[LOAD_GROUPS_MAX];
	unsigned groups_count;
	LIST_HEAD(, stream) streams; /* those without a verdict */
	LIST_HEAD(, stream) lost;    /* those with VERDICT_LOST */
	TAILQ_HEAD(, end) paused;
	TAILQ_HEAD(, end) graveyard;
	LIST_HEAD(, end) ends;
};

enum verdict {
	VERDICT_DONE,
	VERDICT_LOST,
	VERDICT_WRONG
};

/* Connect a new stream of the group. */
void stream_open(struct load *load, struct group *group);
/* Count the verdict and close the ends; the stream is gone (S2). */
void stream_end(struct stream *stream, enum verdict verdict);
/* What it holds at a place, away from the client (up) or towards it: the
 * header, then what no other stream has. */
void stream_bytes(const struct stream *stream, bool up, uint64_t at,
    uint8_t *out, size_t length);
/* The running stream with this id, or NULL. */
struct stream *stream_find(const struct load *load, uint64_t id);
void stream_describe(const struct stream *stream, char *text, size_t size);
/* A backend's end of it may still come. */
bool stream_is_lost(const struct load *load, uint64_t id);
/* Keep why if it is among the load's first errors; stream may be NULL. */
void stream_note_error(struct load *load, const struct stream *stream,
    const char *why);

void end_new_client(struct stream *stream);
void end_new_server(struct load *load, int fd);
void end_ready(struct end *end, uint32_t events);
void end_wake(struct end *end);
/* Make epoll watch for what the end now waits for. */
void end_watch(struct end *end);
void end_close(struct end *end);

#endif
