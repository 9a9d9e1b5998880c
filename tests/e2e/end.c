/*
 * end - one end of a checked stream: what it sends, when, and how it judges
 * what comes.
 *
 * Runs in: a test.  Knows nothing of: groups of streams, listeners.
 */
#include "stream.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "harness.h"

#define CHUNK     65536
#define CALLS_MAX 16 /* reads or writes of one end in one go */
#define RETRY_MS  2  /* after a Unix-domain backlog was full */

static uint8_t chunk[CHUNK];
static uint8_t wanted[CHUNK];

void
end_close(struct end *end)
{
	if (end->wake_ms != 0)
		TAILQ_REMOVE(&end->load->paused, end, link);
	if (end->stream != NULL && end->client)
		end->stream->client = NULL;
	else if (end->stream != NULL)
		end->stream->server = NULL;
	LIST_REMOVE(end, all);
	close(end->fd);
	end->fd = -1;
	end->kind = KIND_GONE;
	TAILQ_INSERT_TAIL(&end->load->graveyard, end, link); /* S1 */
}

/* The end's stream is judged; the end is closed. */
static void end_fail(struct end *end, enum verdict verdict, const char *format,
    ...) printf_like(3, 4);

static void
end_fail(struct end *end, enum verdict verdict, const char *format, ...)
{
	char why[120];
	char all[160];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof why, format, args);
	va_end(args);
	snprintf(all, sizeof all, "%s: %s", end->client ? "client" : "server",
	    why);
	stream_note_error(end->load, end->stream, all);
	if (end->stream != NULL)
		stream_end(end->stream, verdict);
	else
		end_close(end);
}

static uint32_t
end_wanted_events(const struct end *end)
{
	uint32_t events = 0;

	if (end->connecting)
		return end->wake_ms == 0 ? EPOLLOUT : 0;
	if (!end->eof && !end->held && end->wake_ms == 0)
		events |= EPOLLIN;
	if (end->stream == NULL || end_rests(end))
		return events;
	if (end->sent < end_send_limit(end) || end_may_reset(end) ||
	    (!end->fin_sent && end_may_finish(end)))
		events |= EPOLLOUT;
	return events;
}

void
end_watch(struct end *end)
{
	struct epoll_event event = {.data.ptr = end};
	int op = EPOLL_CTL_MOD;

	event.events = end_wanted_events(end);
	if (event.events == end->watched)
		return;
	/* Not even a hang-up is wanted from one that waits for nothing. */
	if (event.events == 0)
		op = EPOLL_CTL_DEL;
	else if (end->watched == 0)
		op = EPOLL_CTL_ADD;
	end->watched = event.events;
	ck_assert_msg(epoll_ctl(end->load->epoll_fd, op, end->fd, &event) == 0,
	    "epoll_ctl: %s", strerror(errno));
}

static void
end_pause(struct end *end, uint32_t ms)
{
	end->wake_ms = e2e_now_ms() + ms;
	TAILQ_INSERT_TAIL(&end->load->paused, end, link);
}

/* Send one piece.  Returns bytes, 0 if no more can go now; -1: the end is
 * gone. */
static ssize_t
end_send_piece(struct end *end, uint64_t limit)
{
	uint32_t max = end_spec(end)->write_max;
	size_t length = limit - end->sent < CHUNK ? limit - end->sent : CHUNK;
	int flags = MSG_NOSIGNAL;
	ssize_t n;

	if (max != 0 && length > max)
		length = max;
	length = end_piece(end, length, &flags);
	stream_bytes(end->stream, end->client, end->sent, chunk, length);
	n = send(end->fd, chunk, length, flags);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0 && end_is_excused(end)) {
		end->told = true;
		return 0;
	}
	if (n < 0) {
		end_fail(end, VERDICT_LOST, "send: %s", strerror(errno));
		return -1;
	}
	end->sent += (uint64_t)n;
	return n;
}

/* false: the end is gone. */
static bool
end_send_fin(struct end *end)
{
	end->fin_sent = true;
	if (shutdown(end->fd, SHUT_WR) == 0 || end_is_excused(end))
		return true;
	end_fail(end, VERDICT_LOST, "shutdown: %s", strerror(errno));
	return false;
}

/* false: the end is gone. */
static bool
end_write(struct end *end)
{
	uint64_t limit = end_send_limit(end);
	uint64_t before = end->sent;
	ssize_t n = 1;

	for (int i = 0; i < CALLS_MAX && n > 0 && end->sent < limit; i++)
		n = end_send_piece(end, limit);
	if (n < 0)
		return false;
	if (end_may_reset(end)) {
		end_reset(end);
		return false;
	}
	if (end->sent > before && end->sent < end_send_total(end) &&
	    end->wake_ms == 0 && end_spec(end)->write_pause_ms != 0)
		end_pause(end, end_spec(end)->write_pause_ms);
	if (!end->fin_sent && end_may_finish(end))
		return end_send_fin(end);
	return true;
}

/* The header has come whole: whose server end is this?  false: gone. */
static bool
end_find_stream(struct end *end)
{
	struct load *load = end->load;
	uint64_t header[2];
	struct stream *stream;

	memcpy(header, end->header, sizeof header);
	if (header[0] != STREAM_MAGIC || header[1] >= load->counts.opened) {
		load->counts.wrong++;
		end_fail(end, VERDICT_WRONG, "not the start of a stream");
		return false;
	}
	stream = stream_find(load, header[1]);
	if (stream == NULL && stream_is_gone(load, header[1])) {
		end_close(end);
		return false;
	}
	if (stream == NULL || stream->server_came) {
		load->counts.wrong++;
		end_fail(end, VERDICT_WRONG,
		    "stream %llu was connected to a backend twice",
		    (unsigned long long)header[1]);
		return false;
	}
	stream->server_came = true;
	stream->server = end;
	end->stream = stream;
	if (stream->client != NULL && end_may_reset(stream->client))
		end_reset(stream->client);
	return true;
}

/* false: the end is gone. */
static bool
end_check(struct end *end, size_t length)
{
	uint64_t total = end_receive_total(end);
	size_t i = 0;

	if (length > total - end->received) {
		end_fail(end, VERDICT_WRONG, "more bytes than were sent");
		return false;
	}
	stream_bytes(end->stream, !end->client, end->received, wanted, length);
	if (memcmp(chunk, wanted, length) != 0) {
		while (chunk[i] == wanted[i])
			i++;
		end_fail(end, VERDICT_WRONG, "byte %llu is another",
		    (unsigned long long)end->received + i);
		return false;
	}
	end->received += length;
	return true;
}

static bool
end_take_eof(struct end *end)
{
	/* A dial that a dying worker did not write down ends like this. */
	if (end->stream == NULL) {
		end_close(end);
		return false;
	}
	if (end_is_excused(end)) {
		end_take_break(end, 0);
		return false;
	}
	if (end->received < end_receive_total(end) || end_spec(end)->lasts) {
		end_fail(end, VERDICT_LOST, "the stream ended too soon");
		return false;
	}
	end->eof = true;
	return true;
}

static bool
end_take_error(struct end *end, int error)
{
	if (end->stream == NULL) {
		end_close(end);
		return false;
	}
	if (end_is_excused(end))
		end_take_break(end, error);
	else
		end_fail(end, VERDICT_LOST, "receive: %s", strerror(error));
	return false;
}

/* Read one piece into chunk, or the header; *length is 0 if there is none
 * now.  false: the end is gone. */
static bool
end_receive_piece(struct end *end, size_t max, size_t *length)
{
	bool header = end->stream == NULL;
	uint8_t *to = header ? end->header + end->received : chunk;
	ssize_t n;

	if (header)
		max = LOAD_HEADER - end->received;
	n = recv(end->fd, to, max, 0);
	*length = n > 0 ? (size_t)n : 0;
	if (n < 0)
		return errno == EAGAIN || end_take_error(end, errno);
	if (n == 0)
		return end_take_eof(end);
	end->load->counts.bytes += (uint64_t)n;
	if (!header)
		return end_check(end, (size_t)n);
	end->received += (uint64_t)n;
	return end->received < LOAD_HEADER || end_find_stream(end);
}

/* false: the end is gone. */
static bool
end_read(struct end *end)
{
	size_t max = CHUNK;
	size_t n;

	if (end->eof || end->held || end->wake_ms != 0)
		return true;
	for (int i = 0; i < CALLS_MAX; i++) {
		if (end->stream != NULL && end_spec(end)->read_max != 0)
			max = end_spec(end)->read_max;
		if (!end_receive_piece(end, max, &n))
			return false;
		if (n == 0)
			return true;
		if (max != CHUNK) {
			end_pause(end, end_spec(end)->read_pause_ms);
			return true;
		}
	}
	return true;
}

/* Both ways have ended: close, and judge when both ends have. */
static void
end_finish(struct end *end)
{
	struct stream *stream = end->stream;

	end_close(end);
	if (stream->client == NULL && stream->server == NULL &&
	    (stream->server_came || stream_server_never_comes(stream)))
		stream_end(stream, VERDICT_DONE);
}

static void
end_go_on(struct end *end)
{
	if (!end_read(end))
		return;
	if (end->stream == NULL) {
		end_watch(end);
		return;
	}
	if (!end_write(end))
		return;
	if (end->eof && end->fin_sent)
		end_finish(end);
	else
		end_watch(end);
}

static void
end_connect(struct end *end)
{
	const struct group *group = end->stream->group;

	end->connecting = true;
	if (connect(end->fd, (const struct sockaddr *)&group->target,
		group->length) == 0)
		end->connecting = false;
	else if (errno == EAGAIN) /* a full Unix-domain backlog: no event */
		end_pause(end, RETRY_MS);
	else if (errno != EINPROGRESS) {
		end_fail(end, VERDICT_LOST, "connect: %s", strerror(errno));
		return;
	}
	end_watch(end);
}

void
end_wake(struct end *end)
{
	TAILQ_REMOVE(&end->load->paused, end, link);
	end->wake_ms = 0;
	if (end->connecting)
		end_connect(end);
	else
		end_go_on(end);
}

void
end_ready(struct end *end, uint32_t events)
{
	int error = 0;
	socklen_t length = sizeof error;

	(void)events;
	if (end->connecting && end->wake_ms != 0)
		return;
	if (end->connecting) {
		getsockopt(end->fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error != 0) {
			end_fail(end, VERDICT_LOST, "connect: %s",
			    strerror(error));
			return;
		}
		end->connecting = false;
	}
	end_go_on(end);
}

static struct end *
end_new(struct load *load, int fd)
{
	struct end *end = calloc(1, sizeof *end);
	socklen_t length = sizeof(int);
	int domain = AF_UNIX;
	int one = 1;

	ck_assert_ptr_nonnull(end);
	end->kind = KIND_END;
	end->load = load;
	end->fd = fd;
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	end->is_tcp = domain != AF_UNIX;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	LIST_INSERT_HEAD(&load->ends, end, all);
	return end;
}

void
end_new_server(struct load *load, int fd)
{
	struct end *end = end_new(load, fd);

	end_watch(end);
}

void
end_new_client(struct stream *stream)
{
	const struct group *group = stream->group;
	int size = (int)stream->spec.receive_buffer;
	int fd = socket(group->target.ss_family,
	    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct end *end;

	ck_assert_msg(fd >= 0, "socket: %s", strerror(errno));
	if (size > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	end = end_new(stream->load, fd);
	end->client = true;
	end->held = stream->spec.hold;
	end->stream = stream;
	stream->client = end;
	end_connect(end);
}
