/* Invariants of events: those that are kept are the newest, without a gap, and what is switched on
 * in the machine is what is stored. Their count and their ends prove that none is missing, as their
 * numbers only rise; the newest are read as well. */
#include <inttypes.h>

#include "machine/audit.h"
#include "machine/events.h"

enum { READ_BACK = 64 };

static int look_at_event(struct audit *a, uint64_t number, uint64_t *later_ms)
{
    struct row_event row;
    struct row_key key = row_key_u64(number);
    int rv = state_get(a->m, TABLE_EVENTS, row_key_slice(&key), &row_event_type, &row);
    if (rv != HF_OK) return rv;
    if (row.at_ms > *later_ms)
        return audit_fail(a, "event %" PRIu64 " happened after the one behind it", number);
    *later_ms = row.at_ms;
    return HF_OK;
}

/* Those of this epoch; what a restore has left behind is of an earlier one. */
static int look_at_newest(struct audit *a, uint64_t last, uint64_t count)
{
    uint64_t later_ms = state_now(a->m);
    int rv = HF_OK;
    for (uint64_t i = 0; rv == HF_OK && i < count && i < READ_BACK; i++)
        rv = look_at_event(a, last - i, &later_ms);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int check_window(struct audit *a)
{
    const struct row_meta *meta = &a->m->meta;
    struct row_key all = {.size = 0};
    struct walk walk;
    uint64_t count = store_count(a->m->store, TABLE_EVENTS);
    int rv = walk_first(&walk, a->m, TABLE_EVENTS, &all, NULL);
    uint64_t first = rv == HF_OK ? row_key_last(walk.key) : 0;
    walk_close(&walk);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    if (first != meta->event_first)
        return audit_fail(a, "the oldest event is %" PRIu64 ", and taken for %" PRIu64, first,
                          meta->event_first);
    if (count == 0) return HF_OK;
    if (meta->event_counter - event_counter_of(first) + 1 != count)
        return audit_fail(a, "%" PRIu64 " events are kept from %" PRIu64 " to %" PRIu64, count,
                          event_counter_of(first), meta->event_counter);
    return look_at_newest(a, events_next(a->m) - 1, count);
}

static int check_prefixes(struct audit *a)
{
    const struct machine *m = a->m;
    if (store_count(m->store, TABLE_EVENT_PREFIXES) != m->event_prefix_count)
        return audit_fail(a, "prefixes of events are known that are not stored, or not known");
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < m->event_prefix_count; i++) {
        const struct event_prefix *prefix = &m->event_prefixes[i];
        struct row_key key = row_key_frozen(slice_make(prefix->bytes, prefix->size));
        rv = audit_has(a, TABLE_EVENT_PREFIXES, row_key_slice(&key), "a prefix of events");
    }
    return rv;
}

int audit_events(struct audit *a)
{
    int rv = check_window(a);
    return rv == HF_OK ? check_prefixes(a) : rv;
}
