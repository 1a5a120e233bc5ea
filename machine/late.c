/* See the header. Failure modes: faults only. */
#include "machine/late.h"

#include "machine/events.h"

enum late_found late_add(const struct codec_list *known, const struct late_item *late,
                         struct slice body, struct late_list *out)
{
    const struct late_item *items = known->items;
    uint32_t count = known->count;
    HF_ASSERT(count <= RECORD_LATE_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (items[i].fencing_token == late->fencing_token) return LATE_KNOWN;
        out->items[i] = items[i];
    }
    if (count == RECORD_LATE_MAX) return LATE_FULL;
    put_hash128(out->hash, hash128(0, body.data, body.size));
    out->items[count] = *late;
    out->items[count].body_hash = slice_make(out->hash, sizeof out->hash);
    out->list = (struct codec_list){out->items, count + 1};
    return LATE_ADDED;
}

int late_tell(struct machine *m, struct slice name, struct slice branch, uint64_t session,
              const struct late_item *late)
{
    const struct event event = {
        .kind = EVENT_LATE_COMPLETION,
        .name = name,
        .session = session,
        .fencing_token = late->fencing_token,
        .what = late->outcome,
        .branch = branch,
    };
    return event_tell(m, &event);
}

void late_hash_end(uint64_t outcome, uint64_t code, uint64_t kind, struct slice headers,
                   struct slice body, uint8_t out[HASH128_BYTES])
{
    HF_ASSERT(code <= UINT32_MAX);
    struct hash128 h = hash128(kind << 40 | outcome << 32 | code, body.data, body.size);
    struct hash128 all = hash128(h.high ^ headers.size, headers.data, headers.size);
    put_u64(out, all.high ^ h.low);
    put_u64(out + 8, all.low ^ h.high);
}
