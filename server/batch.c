/* See server/batch.h. */
#include "server/batch.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/buggify.h"
#include "base/status.h"

enum { REQUESTS_AT_FIRST = 64, SPARE_MAX = 16, SPARE_BYTES_MAX = 512 * 1024 };

static struct batch *batch_of(struct list *link)
{
    return HF_CONTAINER_OF(link, struct batch, link);
}

static void batch_free(struct batch *batch)
{
    buffer_close(&batch->entry);
    free(batch->requests);
    free(batch);
}

void batches_init(struct batches *b, uint32_t bytes_max, uint32_t ops_max)
{
    HF_ASSERT(ops_max >= 1 && ops_max <= ENTRY_OPS_MAX);
    HF_ASSERT(bytes_max + FRAME_BYTES_MAX <= ENTRY_BYTES_MAX);
    *b = (struct batches){.bytes_max = bytes_max, .ops_max = ops_max};
    list_init(&b->waiting);
    list_init(&b->in_flight);
    list_init(&b->spare);
}

static void free_all(struct list *head)
{
    if (head->next == NULL) return; /* never initialised */
    LIST_FOR_SAFE(link, head) batch_free(batch_of(link));
}

void batches_close(struct batches *b)
{
    free_all(&b->waiting);
    free_all(&b->in_flight);
    free_all(&b->spare);
    *b = (struct batches){0};
}

static struct batch *take_spare(struct batches *b)
{
    if (list_empty(&b->spare)) {
        struct batch *batch = calloc(1, sizeof *batch);
        if (batch == NULL) return NULL;
        buffer_init(&batch->entry, ENTRY_BYTES_MAX);
        list_init(&batch->link);
        return batch;
    }
    struct batch *batch = batch_of(b->spare.next);
    list_remove(&batch->link);
    b->spare_count--;
    return batch;
}

static void give_spare(struct batches *b, struct batch *batch)
{
    if (b->spare_count >= SPARE_MAX || batch->entry.capacity > SPARE_BYTES_MAX) {
        batch_free(batch);
        return;
    }
    buffer_clear(&batch->entry);
    batch->count = 0;
    batch->weight = 0;
    batch->index = 0;
    batch->term = 0;
    list_push_back(&b->spare, &batch->link);
    b->spare_count++;
}

struct batch *batches_add_empty(struct batches *b, uint64_t now_ms)
{
    struct batch *batch = take_spare(b);
    if (batch == NULL) return NULL;
    if (entry_begin(&batch->entry) != HF_OK) {
        batch_free(batch);
        return NULL;
    }
    batch->opened_ms = now_ms;
    batch->keeps_only = true;
    list_push_back(&b->waiting, &batch->link);
    b->waiting_bytes += batch->entry.size;
    return batch;
}

bool batch_is_full(const struct batches *b, const struct batch *batch)
{
    return batch->weight >= b->ops_max || batch->entry.size >= b->bytes_max;
}

static int make_room(struct batch *batch)
{
    if (batch->count < batch->capacity) return HF_OK;
    uint32_t capacity = batch->capacity == 0 ? REQUESTS_AT_FIRST : batch->capacity * 2;
    struct pending **requests = realloc(batch->requests, capacity * sizeof(*requests));
    if (requests == NULL) return HF_ENOMEM;
    batch->requests = requests;
    batch->capacity = capacity;
    return HF_OK;
}

int batches_add(struct batches *b, uint64_t now_ms, uint16_t op, struct pending *request,
                const struct envelope *envelope, struct slice body)
{
    struct batch *batch = list_empty(&b->waiting) ? NULL : batch_of(b->waiting.prev);
    bool closed = batch == NULL || batch_is_full(b, batch) || HF_BUGGIFY(SMALL_BATCH);
    if (closed) batch = batches_add_empty(b, now_ms);
    if (batch == NULL) return HF_ENOMEM;

    int rv = make_room(batch);
    if (rv != HF_OK) return rv;
    size_t bytes_before = batch->entry.size;
    rv = entry_add(&batch->entry, op, envelope, body);
    if (rv != HF_OK) return rv;
    b->waiting_bytes += batch->entry.size - bytes_before;
    batch->requests[batch->count++] = request;
    batch->weight += op_weight(op, body);
    batch->keeps_only = batch->keeps_only && op == OP_CODE_KEEP;
    return HF_OK;
}

struct batch *batches_first_waiting(const struct batches *b)
{
    return list_empty(&b->waiting) ? NULL : batch_of(b->waiting.next);
}

void batches_submitted(struct batches *b, struct batch *batch, uint64_t index, uint64_t term)
{
    HF_ASSERT(batch == batches_first_waiting(b));
    HF_ASSERT(index > 0);
    b->waiting_bytes -= batch->entry.size;
    buffer_clear(&batch->entry); /* the driver has a copy */
    batch->index = index;
    batch->term = term;
    list_remove(&batch->link);
    list_push_back(&b->in_flight, &batch->link);
    if (batch->count > 0) b->in_flight_count++;
}

struct batch *batches_first_in_flight(const struct batches *b)
{
    return list_empty(&b->in_flight) ? NULL : batch_of(b->in_flight.next);
}

void batches_drop(struct batches *b, struct batch *batch)
{
    if (batch->index == 0) {
        b->waiting_bytes -= batch->entry.size;
    } else if (batch->count > 0) {
        b->in_flight_count--;
    }
    list_remove(&batch->link);
    give_spare(b, batch);
}
