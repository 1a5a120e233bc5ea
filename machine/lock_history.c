/* The history of a lock. Happy path: nothing is written. As long as a lock has had one grant only,
 * that grant's own row tells all, so a lock that is taken and given back without company costs no
 * row here; whatever happens next writes the first grant and itself. Failure modes: faults only. */
#include "machine/lock_history.h"

#include "machine/grants.h"

static struct transition_item granted_item(uint64_t token, const struct row_grant *grant)
{
    return (struct transition_item){
        .at_ms = grant->since_ms,
        .what = TRANSITION_GRANTED,
        .fencing_token = token,
        .session = grant->session,
        .owner = grant->owner,
    };
}

/* What is known of a lock, with room for two more items; a grant's own if it has no row. */
struct items {
    struct row_lock_history row; /* but for its items, which are these */
    struct transition_item list[LOCK_TRANSITIONS_MAX + 2];
    uint32_t count;
};

static int read_items(struct machine *m, struct slice name, const struct row_lock *lock,
                      uint64_t token, const struct row_grant *grant, struct items *items)
{
    HF_ASSERT(lock->has_history == 1 || lock->holder_count == 1);
    *items = (struct items){.count = 0};
    if (lock->has_history == 0) {
        items->list[items->count++] = granted_item(token, grant);
        return HF_OK;
    }
    struct row_key key = row_key_name(name);
    int rv =
        state_get(m, TABLE_LOCK_HISTORY, row_key_slice(&key), &row_lock_history_type, &items->row);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    items->count = items->row.items.count;
    HF_ASSERT(items->count <= LOCK_TRANSITIONS_MAX);
    memcpy(items->list, items->row.items.items, items->count * sizeof *items->list);
    return HF_OK;
}

/* The newest of them. */
static int write_items(struct machine *m, struct slice name, struct row_lock *lock,
                       struct items *items)
{
    uint32_t count = items->count < LOCK_TRANSITIONS_MAX ? items->count : LOCK_TRANSITIONS_MAX;
    items->row.items = (struct codec_list){items->list + (items->count - count), count};
    struct row_key key = row_key_name(name);
    lock->has_history = 1;
    return state_put(m, TABLE_LOCK_HISTORY, row_key_slice(&key), &row_lock_history_type,
                     &items->row);
}

/* What happened to the grant: `item`, behind what is known. */
static int add(struct machine *m, struct slice name, struct row_lock *lock, uint64_t token,
               const struct row_grant *grant, struct transition_item item)
{
    struct items items;
    size_t mark = state_mark(m);
    int rv = read_items(m, name, lock, token, grant, &items);
    state_reset(m, mark);
    if (rv != HF_OK) return rv;
    items.list[items.count++] = item;
    if (item.what == TRANSITION_ENDED && reason_is_involuntary((enum end_reason)item.reason)) {
        items.row.last_token = item.fencing_token;
        items.row.last_reason = item.reason;
        items.row.last_at_ms = item.at_ms;
    }
    return write_items(m, name, lock, &items);
}

int lock_history_granted(struct machine *m, struct slice name, struct row_lock *lock,
                         uint64_t token, const struct row_grant *grant)
{
    if (lock->has_history == 1) return add(m, name, lock, 0, NULL, granted_item(token, grant));
    if (lock->holder_count == 0) return HF_OK; /* the grant's row will tell it */
    struct row_grant first;
    struct holders h;
    size_t mark = state_mark(m);
    int rv = holders_first(&h, m, name, lock);
    uint64_t first_token = h.token;
    holders_close(&h);
    if (rv == HF_OK) rv = grant_get(m, first_token, &first);
    if (rv == HF_OK) rv = add(m, name, lock, first_token, &first, granted_item(token, grant));
    state_reset(m, mark);
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

int lock_history_ended(struct machine *m, struct slice name, struct row_lock *lock, uint64_t token,
                       const struct row_grant *grant, enum end_reason reason, bool goes)
{
    HF_ASSERT(lock->holder_count >= 1);
    if (goes) return HF_OK;
    struct transition_item item = granted_item(token, grant);
    item.at_ms = state_now(m);
    item.what = TRANSITION_ENDED;
    item.reason = reason;
    return add(m, name, lock, token, grant, item);
}

int lock_history_changed(struct machine *m, struct slice name, struct row_lock *lock,
                         uint64_t token, const struct row_grant *grant)
{
    HF_ASSERT(grant->mode != MODE_PERMITS);
    struct transition_item item = granted_item(token, grant);
    item.at_ms = state_now(m);
    item.what = grant->mode == MODE_SHARED ? TRANSITION_DOWNGRADED : TRANSITION_UPGRADED;
    return add(m, name, lock, token, grant, item);
}

int lock_history_get(struct machine *m, struct slice name, const struct row_lock *lock,
                     struct row_lock_history *row)
{
    struct row_key key = row_key_name(name);
    *row = (struct row_lock_history){0};
    if (lock->has_history == 1)
        return state_get(m, TABLE_LOCK_HISTORY, row_key_slice(&key), &row_lock_history_type, row);
    if (lock->holder_count == 0) return HF_OK;
    struct row_grant grant;
    struct holders h;
    int rv = holders_first(&h, m, name, lock);
    holders_close(&h);
    if (rv == HF_OK) rv = grant_get(m, h.token, &grant);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    struct transition_item *item = arena_take(&m->scratch, sizeof *item);
    if (item == NULL) return HF_ENOMEM;
    *item = granted_item(h.token, &grant);
    row->items = (struct codec_list){item, 1};
    return HF_OK;
}
