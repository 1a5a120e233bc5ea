#include "client/lock_refusal.h"

#include <stdlib.h>

#include "base/status.h"

_Static_assert((int)HF_REFUSAL_HOLDERS_MAX == (int)BUSY_HOLDERS_MAX, "all that the answer has");
_Static_assert((int)HF_REFUSAL_OWNERS_MAX == (int)DEADLOCK_OWNERS_MAX, "likewise");
_Static_assert((int)HF_NAMES_MAX == (int)NAMES_MAX, "likewise");

static void take_busy(hf_refusal *to, const struct msg_busy *busy)
{
    const struct holder *from = busy->holders.items;
    HF_ASSERT(busy->holders.count <= HF_REFUSAL_HOLDERS_MAX); /* the decoder's promise */
    to->holder_count = (uint32_t)busy->holder_count;
    to->holders_shown = busy->holders.count;
    for (uint32_t i = 0; i < busy->holders.count; i++) {
        to->holders[i] = (hf_holder){.session = from[i].session,
                                     .owner = from[i].owner,
                                     .fencing_token = from[i].fencing_token,
                                     .mode = (int)from[i].mode,
                                     .permits = (uint32_t)from[i].permits};
    }
    to->queue_length = (uint32_t)busy->queue_length;
    to->lease_left_ms = busy->lease_left_ms;
    to->limit = (uint32_t)busy->limit;
    to->units_taken = (uint32_t)busy->units_taken;
    to->units_delayed = (uint32_t)busy->units_delayed;
}

static void take_deadlock(hf_refusal *to, const struct msg_deadlock *deadlock)
{
    const struct owner_item *from = deadlock->owners.items;
    HF_ASSERT(deadlock->owners.count <= HF_REFUSAL_OWNERS_MAX); /* the decoder's promise */
    to->cycle_length = (uint32_t)deadlock->length;
    to->cycle_shown = deadlock->owners.count;
    for (uint32_t i = 0; i < deadlock->owners.count; i++)
        to->cycle[i] = (hf_owner){.session = from[i].session, .owner = from[i].owner};
}

static void take_already(struct lock_refusal *r, const struct msg_already *already)
{
    const struct slice *from = already->names.items;
    size_t size = 0;
    r->shown.fencing_token = already->fencing_token;
    r->shown.mode = (int)already->mode;
    r->shown.permits = (uint32_t)already->permits;
    for (uint32_t i = 0; i < already->names.count; i++) {
        /* Only a server that breaks its word has more than a stored reply has room for. */
        if (size + from[i].size + 1 > sizeof r->names) break;
        if (from[i].size > 0) memcpy(r->names + size, from[i].data, from[i].size);
        r->names[size + from[i].size] = '\0';
        r->shown.names[r->shown.name_count++] = r->names + size;
        size += from[i].size + 1;
    }
}

static bool fill(struct lock_refusal *r, int status, struct slice reply, struct arena *arena)
{
    union {
        struct msg_busy busy;
        struct msg_delayed delayed;
        struct msg_deadlock deadlock;
        struct msg_already already;
    } answer;
    arena_reset(arena);
    if (codec_decode(op_reply_type(OP_CODE_ACQUIRE, status), reply, arena, &answer) != HF_OK)
        return false;
    switch (status) {
    case HF_EBUSY: take_busy(&r->shown, &answer.busy); return true;
    case HF_EDELAYED: r->shown.delay_left_ms = answer.delayed.left_ms; return true;
    case HF_EDEADLOCK: take_deadlock(&r->shown, &answer.deadlock); return true;
    case HF_EALREADY: take_already(r, &answer.already); return true;
    default: HF_UNREACHABLE();
    }
}

static bool has_detail(int status)
{
    return status == HF_EBUSY || status == HF_EDELAYED || status == HF_EDEADLOCK ||
           status == HF_EALREADY;
}

void lock_refusal_take(struct lock_refusal **refusal, int status, struct slice reply,
                       struct arena *arena)
{
    if (!has_detail(status)) return;
    if (*refusal == NULL) *refusal = malloc(sizeof **refusal);
    if (*refusal == NULL) return;
    **refusal = (struct lock_refusal){.shown = {.status = HF_OK}};
    if (fill(*refusal, status, reply, arena)) (*refusal)->shown.status = status;
}

void lock_refusal_forget(struct lock_refusal *refusal)
{
    if (refusal != NULL) refusal->shown.status = HF_OK;
}
