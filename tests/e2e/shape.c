/*
 * shape - what one end of a checked stream may do by now: how far it may have
 * sent, whether it may end, which of its bytes are urgent.
 *
 * Runs in: a test.  Knows nothing of: sockets.
 */
#include "stream.h"

#include <sys/socket.h>

uint64_t
end_send_total(const struct end *end)
{
	return end->client ? end_spec(end)->up : end_spec(end)->down;
}

uint64_t
end_receive_total(const struct end *end)
{
	return end->client ? end_spec(end)->down : end_spec(end)->up;
}

/* Is it this end that resets? */
static bool
end_resets(const struct end *end)
{
	return end_spec(end)->resets ==
	    (end->client ? LOAD_CLIENT : LOAD_SERVER);
}

/* What the shape alone allows. */
static uint64_t
end_shape_limit(const struct end *end)
{
	const struct load_spec *spec = end_spec(end);
	uint64_t total = end_send_total(end);
	uint64_t answered;

	switch (spec->shape) {
	case LOAD_PINGPONG:
		answered =
		    end->received / spec->message + (end->client ? 1 : 0);
		return answered * spec->message < total
		    ? answered * spec->message
		    : total;
	case LOAD_UP_FIRST:
		return end->client || end->eof ? total : 0;
	case LOAD_DOWN_FIRST:
		if (end->client && !end->eof)
			return LOAD_HEADER;
		return total;
	case LOAD_BOTH:
		break;
	}
	return total;
}

uint64_t
end_send_limit(const struct end *end)
{
	uint64_t limit = end_shape_limit(end);

	if (end->told || end_rests(end))
		return end->sent;
	if (end_resets(end) && limit > end_spec(end)->reset_at)
		return end_spec(end)->reset_at;
	return limit;
}

bool
end_rests(const struct end *end)
{
	return end->wake_ms != 0 && end_spec(end)->write_pause_ms != 0;
}

bool
end_may_finish(const struct end *end)
{
	if (end->held || end->told || end_spec(end)->lasts ||
	    end->sent < end_send_total(end))
		return false;
	switch (end_spec(end)->shape) {
	case LOAD_PINGPONG: /* the client ends first, after the last answer */
		return end->client ? end->received == end_receive_total(end)
				   : end->eof;
	case LOAD_UP_FIRST:
		return end->client || end->eof;
	case LOAD_DOWN_FIRST:
		return !end->client || end->eof;
	case LOAD_BOTH:
		break;
	}
	return true;
}

bool
end_may_reset(const struct end *end)
{
	const struct stream *stream = end->stream;

	if (stream == NULL || !end_resets(end) || end->connecting ||
	    end->sent < end_spec(end)->reset_at)
		return false;
	return stream->server_came || stream_server_never_comes(stream);
}

size_t
end_piece(const struct end *end, size_t length, int *flags)
{
	uint32_t each = end_spec(end)->urgent_each;
	uint64_t before;

	if (each == 0 || !end->is_tcp)
		return length;
	before = each - 1 - end->sent % each;
	if (before > 0)
		return length < before ? length : before;
	*flags |= MSG_OOB;
	return 1;
}
