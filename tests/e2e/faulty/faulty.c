/*
 * faulty - a worker with a defect: some bytes make it crash, or hang.
 *
 * Linked into a srvd of its own, around the real worker: what it relays is
 * looked at first (a real worker never does that), and its start may fail.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/attr.h"
#include "server/state/body.h"
#include "server/worker/flow.h"
#include "server/worker/worker.h"
#include "tests/e2e/faulty/faulty.h"

/* The linker calls them so (ld(1), --wrap). */
enum flow_result real_flow_pump(struct flow *flow, struct pipes *pipes,
    const struct flow_ends *ends) __asm__("__real_flow_pump");
enum flow_result faulty_flow_pump(struct flow *flow, struct pipes *pipes,
    const struct flow_ends *ends) __asm__("__wrap_flow_pump");
int faulty_main(struct body *body, const struct board *board,
    struct board_row *row);

/* A page that can't be touched: so that no compiler or checker sees it. */
static void
crash(void)
{
	volatile char *page =
	    mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*page = 1;
}

static void
hang(void)
{
	volatile int forever = 1;

	while (forever)
		continue;
}

static const struct {
	const char *word;
	void (*act)(void);
} faults[] = {
    {FAULTY_SEGV, crash},
    {FAULTY_ABORT, abort},
    {FAULTY_LOOP, hang},
};

enum flow_result
faulty_flow_pump(struct flow *flow, struct pipes *pipes,
    const struct flow_ends *ends)
{
	char data[sizeof(FAULTY_SEGV) - 1];
	ssize_t n =
	    recv(ends->source_fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT);

	for (size_t i = 0; n == sizeof(data) && i < ARRAY_LEN(faults); i++) {
		if (memcmp(data, faults[i].word, sizeof(data)) == 0)
			faults[i].act();
	}
	/* What comes between the look and the pump would not be looked at. */
	if (n < 0 && errno == EAGAIN && flow->state == FLOW_OPEN &&
	    flow_pending(flow) == 0)
		return FLOW_IDLE;
	return real_flow_pump(flow, pipes, ends);
}

static bool
is_hindered(void)
{
	struct sockaddr_storage ss;
	struct addr addr;
	char why[128];
	int length;
	int fd;
	bool found;

	if (addr_parse(FAULTY_START, ADDR_FOR_BACKEND, &addr, why,
		sizeof(why)) < 0)
		abort();
	length = addr_to_sockaddr(&addr, &ss);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	found = connect(fd, (struct sockaddr *)&ss, (socklen_t)length) == 0;
	(void)close(fd);
	return found;
}

int
faulty_main(struct body *body, const struct board *board, struct board_row *row)
{
	if (body->head->seat == 0 && is_hindered())
		_exit(EXIT_FAILURE);
	return worker_main(body, board, row);
}
