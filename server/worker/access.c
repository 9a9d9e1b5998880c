/*
 * access - the line of a connection in the access log; see access.h.
 *
 * The line is put together by hand: it is written for every connection, and
 * gmtime_r(3) would open the file of the time zone.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "server/state/channel.h"
#include "server/state/reason.h"
#include "server/worker/access.h"
#include "server/worker/conn.h"
#include "server/worker/count.h"

/* A line being written.  All fields together fit: names are short, and paths
 * have at most ADDR_PATH_SIZE bytes of four characters each. */
struct line {
	char *text;
	size_t length;
};

static void
put_char(struct line *line, char c)
{
	/* One place is kept for the newline. */
	if (line->length < BODY_ACCESS_LINE - 1)
		line->text[line->length++] = c;
}

static void
put_text(struct line *line, const char *text)
{
	while (*text != '\0')
		put_char(line, *text++);
}

/* With leading zeros up to a width. */
static void
put_padded(struct line *line, uint64_t number, unsigned width)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0 || count < width);
	while (count > 0)
		put_char(line, digits[--count]);
}

static void
put_number(struct line *line, uint64_t number)
{
	put_padded(line, number, 1);
}

/* A path is any bytes: what would end a field or the line is escaped. */
static void
put_path(struct line *line, const char *path)
{
	static const char hex[] = "0123456789abcdef";

	for (; *path != '\0'; path++) {
		unsigned char byte = (unsigned char)*path;

		if (byte > ' ' && byte != '\\' && byte != '"' && byte != 0x7f) {
			put_char(line, *path);
			continue;
		}
		put_text(line, "\\x");
		put_char(line, hex[byte >> 4]);
		put_char(line, hex[byte & 15]);
	}
}

/* The date of a day since the epoch, in the Gregorian calendar: years are
 * counted from March, so that the leap day is the last of its year. */
static void
put_date(struct line *line, uint64_t days)
{
	uint64_t since = days + 719468; /* days since 0000-03-01 */
	uint64_t era = since / 146097;  /* of 400 years */
	uint64_t day = since % 146097;
	uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	uint64_t day_of_year = day - (365 * year + year / 4 - year / 100);
	uint64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */

	put_padded(line, year + 400 * era + (month >= 10), 4);
	put_char(line, '-');
	put_padded(line, month < 10 ? month + 3 : month - 9, 2);
	put_char(line, '-');
	put_padded(line, day_of_year - (153 * month + 2) / 5 + 1, 2);
}

/* The moment of the end, which is when the line is written, by RFC 3339. */
static void
put_now(struct line *line)
{
	uint64_t us = clock_epoch_us();
	uint64_t seconds = us / 1000000;

	put_date(line, seconds / 86400);
	put_char(line, 'T');
	put_padded(line, seconds % 86400 / 3600, 2);
	put_char(line, ':');
	put_padded(line, seconds % 3600 / 60, 2);
	put_char(line, ':');
	put_padded(line, seconds % 60, 2);
	put_char(line, '.');
	put_padded(line, us % 1000000 / 1000, 3);
	put_char(line, 'Z');
}

/* Milliseconds with tenths, rounded. */
static void
put_ms(struct line *line, uint64_t us)
{
	uint64_t tenths = us / 100 + (us % 100 >= 50);

	put_number(line, tenths / 10);
	put_char(line, '.');
	put_number(line, tenths % 10);
}

/* The path that the socket's own end, or its peer, is bound to: asked of the
 * kernel, since a reload may have given the row another address. */
static void
put_unix(struct line *line, int fd, bool is_peer)
{
	struct sockaddr_storage ss;
	socklen_t length = sizeof(ss);
	struct addr addr = {.kind = ADDR_NONE};
	int rc = -1;

	if (fd != 0 && is_peer)
		rc = getpeername(fd, (struct sockaddr *)&ss, &length);
	else if (fd != 0)
		rc = getsockname(fd, (struct sockaddr *)&ss, &length);
	if (rc == 0)
		addr_from_sockaddr(&addr, (struct sockaddr *)&ss, length);
	put_text(line, "unix");
	if (addr.kind != ADDR_UNIX || addr.path[0] == '\0')
		return;
	put_char(line, ':');
	put_path(line, addr.path);
}

static void
put_ip4(struct line *line, const uint8_t ip[4])
{
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0)
			put_char(line, '.');
		put_number(line, ip[i]);
	}
}

/* Of TCP: "-" for other kinds, and where its name was not to be had. */
static void
put_endpoint(struct line *line, const struct endpoint *endpoint)
{
	char ip[INET6_ADDRSTRLEN] = "";

	if (endpoint->port == 0 ||
	    (endpoint->kind != ADDR_TCP4 && endpoint->kind != ADDR_TCP6)) {
		put_char(line, '-');
		return;
	}
	if (endpoint->kind == ADDR_TCP4) {
		put_ip4(line, endpoint->ip);
	} else {
		(void)inet_ntop(AF_INET6, endpoint->ip, ip, sizeof(ip));
		put_char(line, '[');
		put_text(line, ip);
		put_char(line, ']');
	}
	put_char(line, ':');
	put_number(line, endpoint->port);
}

static void
put_client_side(struct line *line, const struct slot *slot)
{
	put_text(line, " client=");
	if (slot->client.kind == ADDR_UNIX)
		put_unix(line, slot->fd[SIDE_CLIENT], true);
	else
		put_endpoint(line, &slot->client);
	put_text(line, " local=");
	if (slot->local.kind == ADDR_UNIX)
		put_unix(line, slot->fd[SIDE_CLIENT], false);
	else
		put_endpoint(line, &slot->local);
}

/* The name of the backend that was connected, or "-". */
static void
put_backend_name(struct line *line, const struct worker *w,
    const struct slot *slot, bool is_connected)
{
	put_text(line, " backend=");
	put_text(line,
	    is_connected ? plan_string(w->plan,
			       plan_backend(w->plan, slot->backend)->name)
			 : "-");
}

static void
put_backend_side(struct line *line, const struct slot *slot, bool is_connected)
{
	static const struct endpoint none = {.kind = ADDR_NONE};

	put_text(line, " source=");
	put_endpoint(line, is_connected ? &slot->source : &none);
	put_text(line, " server=");
	if (is_connected && slot->server.kind == ADDR_UNIX)
		put_unix(line, slot->fd[SIDE_BACKEND], true);
	else
		put_endpoint(line, is_connected ? &slot->server : &none);
}

static void
put_figures(struct line *line, const struct worker *w, const struct slot *slot,
    bool is_connected)
{
	put_text(line, " up=");
	put_number(line, slot->flows[FLOW_UP].moved);
	put_text(line, " down=");
	put_number(line, slot->flows[FLOW_DOWN].moved);
	put_text(line, " connect_ms=");
	if (is_connected)
		put_ms(line, slot->connect_us);
	else
		put_char(line, '-');
	put_text(line, " total_ms=");
	put_ms(line,
	    w->now_us > slot->started_us ? w->now_us - slot->started_us : 0);
}

size_t
access_format(const struct worker *w, const struct slot *slot,
    char text[BODY_ACCESS_LINE])
{
	struct line line = {.length = 0};
	bool is_connected = (slot->tally & TALLY_CONNECTED) != 0;

	line.text = text;
	put_now(&line);
	put_text(&line, " id=");
	put_number(&line, slot->id);
	put_text(&line, " service=");
	put_text(&line, plan_string(w->plan, conn_service(w, slot)->name));
	put_backend_name(&line, w, slot, is_connected);
	put_client_side(&line, slot);
	put_backend_side(&line, slot, is_connected);
	put_figures(&line, w, slot, is_connected);
	put_text(&line, " reason=");
	put_text(&line, reason_word(slot->reason));
	line.text[line.length++] = '\n';
	return line.length;
}

/* The ring */

static uint64_t
taken_by_master(const struct worker *w)
{
	return atomic_load(&w->board->head->access_tail[w->head->row]);
}

bool
access_is_taken(const struct worker *w)
{
	return board_is_unread(w->board->head, w->head->row) ||
	    taken_by_master(w) == atomic_load(&w->head->access_head);
}

/* Only when there was nothing: the master takes all that it then finds. */
static void
tell_master(void)
{
	struct channel_message message;

	channel_init(&message, CHANNEL_ACCESS);
	/* A full channel, or no master: it looks by itself now and then. */
	(void)!channel_send(BODY_FD_CHANNEL, &message, NULL, 0);
}

static void
copy_into_ring(struct worker *w, uint64_t at, const char *line, size_t length)
{
	size_t place = at % BODY_ACCESS_SIZE;
	size_t first = BODY_ACCESS_SIZE - place;

	if (first > length)
		first = length;
	memcpy(w->head->access + place, line, first);
	memcpy(w->head->access, line + first, length - first);
}

void
access_note(struct worker *w, struct slot *slot)
{
	char line[BODY_ACCESS_LINE];
	uint64_t head = atomic_load(&w->head->access_head);
	size_t length;

	if (w->plan->log.access.target == TARGET_OFF ||
	    (slot->tally & TALLY_LOGGED) != 0)
		return;
	length = access_format(w, slot, line);
	if (head - taken_by_master(w) > BODY_ACCESS_SIZE - length) {
		count_unlogged(w, slot);
		return;
	}
	copy_into_ring(w, head, line, length);
	/* The bytes are there before anything says so. */
	atomic_thread_fence(memory_order_release);
	count_logged(w, slot, head + length);
	/* Asked after the head was stored: whoever has taken all before that
	 * has not seen this line. */
	if (taken_by_master(w) == head)
		tell_master();
}
