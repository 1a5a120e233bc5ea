/* See the header. Happy path: an op reads the held row and changes a number in it; the entry's end
 * writes it. Failure mode: a principal that is to be counted and has no row is HF_ECORRUPT. */
#include "machine/principals.h"

/* ------------------------------------------------------------------ the held row */

/* Its texts outlive the op that brought them. */
static void keep_texts(struct machine *m, struct slice name, struct slice host)
{
    uint8_t *text = m->principal_text;
    if (name.size > 0) memcpy(text, name.data, name.size);
    if (host.size > 0) memcpy(text + NAME_BYTES_MAX, host.data, host.size);
    m->principal.name = slice_make(text, name.size);
    m->principal.host = slice_make(text + NAME_BYTES_MAX, host.size);
}

int principal_flush(struct machine *m)
{
    uint64_t id = m->principal_id;
    struct row_principal *row = &m->principal;
    m->principal_id = 0;
    if (id == 0 || !m->principal_changed) return HF_OK;
    m->principal_changed = false;
    struct row_key key = row_key_u64(id);
    uint64_t all = row->session_count + row->name_count + row->record_count + row->record_bytes +
                   row->timer_count;
    if (all > 0)
        return state_put(m, TABLE_PRINCIPALS, row_key_slice(&key), &row_principal_type, row);
    int rv = store_del(m->store, TABLE_PRINCIPALS, row_key_slice(&key));
    return rv == HF_ENOTFOUND ? HF_OK : rv; /* it came and went within an entry */
}

static int hold(struct machine *m, uint64_t id)
{
    HF_ASSERT(id != 0);
    if (m->principal_id == id) return HF_OK;
    int rv = principal_flush(m);
    if (rv != HF_OK) return rv;
    struct row_key key = row_key_u64(id);
    size_t mark = state_mark(m);
    rv = state_get(m, TABLE_PRINCIPALS, row_key_slice(&key), &row_principal_type, &m->principal);
    if (rv == HF_OK) {
        keep_texts(m, m->principal.name, m->principal.host);
        m->principal_id = id;
    }
    state_reset(m, mark);
    return rv;
}

int principal_meet(struct machine *m, uint64_t id, struct slice name, struct slice host)
{
    int rv = hold(m, id);
    if (rv != HF_ENOTFOUND) return rv;
    m->principal = (struct row_principal){0};
    keep_texts(m, name, host);
    m->principal_id = id;
    return HF_OK;
}

/* ------------------------------------------------------------------ counts and caps */

uint64_t *principal_count(struct row_principal *row, enum quota which)
{
    switch (which) {
    case QUOTA_SESSIONS: return &row->session_count;
    case QUOTA_NAMES: return &row->name_count;
    case QUOTA_RECORDS: return &row->record_count;
    case QUOTA_BYTES: return &row->record_bytes;
    case QUOTA_TIMERS: return &row->timer_count;
    default: HF_UNREACHABLE();
    }
}

int principal_add(struct machine *m, uint64_t id, enum quota which, uint64_t count)
{
    int rv = hold(m, id);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    *principal_count(&m->principal, which) += count;
    m->principal_changed = true;
    return HF_OK;
}

int principal_remove(struct machine *m, uint64_t id, enum quota which, uint64_t count)
{
    int rv = hold(m, id);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    uint64_t *at = principal_count(&m->principal, which);
    if (*at < count) return HF_ECORRUPT;
    *at -= count;
    m->principal_changed = true;
    return HF_OK;
}

int principal_settle(struct machine *m, struct principal_share share, bool open, uint64_t bytes)
{
    uint64_t counted = *share.bytes;
    uint64_t id = share.principal;
    int rv = HF_OK;
    if (open && !*share.open) rv = principal_add(m, id, QUOTA_RECORDS, 1);
    if (!open && *share.open) rv = principal_remove(m, id, QUOTA_RECORDS, 1);
    if (rv == HF_OK && bytes > counted) rv = principal_add(m, id, QUOTA_BYTES, bytes - counted);
    if (rv == HF_OK && bytes < counted) rv = principal_remove(m, id, QUOTA_BYTES, counted - bytes);
    *share.open = open;
    *share.bytes = bytes;
    return rv;
}

static uint64_t cap_of(const struct machine *m, enum quota which)
{
    static const enum setting settings[] = {
        [QUOTA_SESSIONS] = SETTING_PRINCIPAL_SESSIONS_MAX,
        [QUOTA_NAMES] = SETTING_PRINCIPAL_NAMES_MAX,
        [QUOTA_RECORDS] = SETTING_PRINCIPAL_RECORDS_MAX,
        [QUOTA_BYTES] = SETTING_PRINCIPAL_BYTES_MAX,
        [QUOTA_TIMERS] = SETTING_PRINCIPAL_TIMERS_MAX,
    };
    HF_ASSERT((which >= QUOTA_SESSIONS && which <= QUOTA_BYTES) || which == QUOTA_TIMERS);
    return setting_get(m, settings[which]);
}

int principal_may(struct machine *m, uint64_t id, enum quota which, uint64_t count,
                  struct msg_quota *refused)
{
    HF_ASSERT(count >= 1);
    int rv = hold(m, id);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    uint64_t has = rv == HF_OK ? *principal_count(&m->principal, which) : 0;
    uint64_t max = cap_of(m, which);
    if (has < max && count <= max - has) return HF_OK;
    *refused = (struct msg_quota){.which = which, .count = has, .max = max};
    return HF_EQUOTA;
}

int quota_tell(struct reply_out *out, uint16_t op, enum quota which, uint64_t count, uint64_t max)
{
    const struct msg_quota quota = {.which = which, .count = count, .max = max};
    return reply_set(out, op, HF_EQUOTA, &quota);
}
