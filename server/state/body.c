/*
 * body - what of a worker outlives it; see body.h.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/state/board.h"
#include "server/state/body.h"
#include "server/state/shm.h"

static size_t
slots_offset(void)
{
	return shm_round(sizeof(struct body_head));
}

static size_t
body_size(uint32_t slots_max)
{
	return slots_offset() + shm_round(slots_max * sizeof(struct slot));
}

static void
head_init(struct body_head *head, const struct body_spec *spec)
{
	const struct plan *plan = spec->plan;

	head->magic = BODY_MAGIC;
	head->version = BODY_VERSION;
	head->slot_size = sizeof(struct slot);
	head->row = spec->row;
	head->seat = spec->seat;
	head->master_uid = geteuid();
	head->size = body_size(spec->slots_max);
	head->slots_max = spec->slots_max;
	head->pipes_max = spec->pipes_max;
	head->next_id = spec->first_id;
	head->watchdog_ms = plan->watchdog_ms;
	head->log_level = spec->log_level;
	head->uid = PLAN_NO_ID;
	head->gid = PLAN_NO_ID;
	if (!spec->drop)
		return;
	head->uid = plan->uid;
	head->gid = plan->gid;
	head->groups_count = plan->groups_count;
	memcpy(head->groups, plan->groups, sizeof(head->groups));
}

int
body_create(const struct body_spec *spec)
{
	struct body_head *head;
	int rc;
	int fd = shm_create("srvd-body", body_size(spec->slots_max));

	if (fd < 0)
		return fd;
	head = shm_map(fd, 0, sizeof(*head), PROT_READ | PROT_WRITE);
	if (head == NULL) {
		rc = -errno;
		close(fd);
		return rc;
	}
	head_init(head, spec);
	munmap(head, sizeof(*head));
	return fd;
}

const char *
body_head_fault(const struct body_head *head, uint64_t size)
{
	if (head->magic != BODY_MAGIC)
		return "no magic number in its head";
	if (head->version != BODY_VERSION)
		return "its head has another version";
	if (head->slot_size != sizeof(struct slot))
		return "its slots are another version's";
	if (head->size != size || head->slots_max > BODY_SLOTS_MAX ||
	    body_size(head->slots_max) != size)
		return "its size in the head is not its size";
	if (head->slots_used > head->slots_max)
		return "more slots used than there are";
	if (head->pipes_max > BODY_PIPES_MAX)
		return "more pipes than there can be";
	if (head->groups_count > PLAN_GROUPS_MAX)
		return "more groups than there can be";
	if (head->row >= BOARD_ROWS || head->seat >= PLAN_WORKERS_MAX)
		return "a row or seat out of range";
	return NULL;
}

int
body_map(int fd, int writable, struct body *body)
{
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	struct stat st;
	char *base;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)sizeof(struct body_head))
		return -EINVAL;
	base = shm_map(fd, 0, (size_t)st.st_size, protection);
	if (base == NULL)
		return -errno;
	body->head = (struct body_head *)base;
	body->slots = (struct slot *)(base + slots_offset());
	body->size = (size_t)st.st_size;
	if (body_head_fault(body->head, (uint64_t)st.st_size) == NULL)
		return 0;
	munmap(base, (size_t)st.st_size);
	return -EINVAL;
}

/* One that has nothing, for nobody to write. */
static int
map_empty(struct body *body)
{
	struct body_spec spec = {.slots_max = 0, .drop = 0};
	struct plan none = {.magic = 0};
	int fd;
	int rc;

	spec.plan = &none;
	fd = body_create(&spec);
	if (fd < 0)
		return fd;
	rc = body_map(fd, 0, body);
	close(fd);
	return rc;
}

int
body_map_foreign(int fd, struct body *body)
{
	size_t size = shm_round(sizeof(struct body_head));
	struct stat st;
	int rc = body_map(fd, 0, body);

	if (rc != -EINVAL)
		return rc;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < (off_t)size)
		return map_empty(body);
	body->head = shm_map(fd, 0, size, PROT_READ);
	if (body->head == NULL)
		return -errno;
	body->slots = NULL;
	body->size = size;
	if (body->head->magic == BODY_MAGIC &&
	    body->head->version == BODY_VERSION)
		return 0;
	body_unmap(body);
	return map_empty(body);
}

void
body_unmap(struct body *body)
{
	if (body->head != NULL)
		munmap(body->head, body->size);
	body->head = NULL;
	body->slots = NULL;
}
