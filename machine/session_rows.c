/* Reading and writing row_session. A batch holds many requests of few sessions, and each of them
 * renews, numbers and acknowledges: so the row of an op's session is put aside when the op ends,
 * for the next op of the same session in this entry, and written once, when the entry ends or room
 * is needed. Whoever else comes for that row has it written first, so that there is only one.
 * Failure modes: faults only. */
#include "machine/sessions.h"

static int write_row(struct machine *m, uint64_t session, const struct row_session *row)
{
    struct row_key key = row_key_u64(session);
    return state_put(m, TABLE_SESSIONS, row_key_slice(&key), &row_session_type, row);
}

/* \param ranges memory for ACK_RANGES_KEPT_MAX; NULL: there was none. */
static int copy_row(struct row_session *to, const struct row_session *from,
                    struct ack_range *ranges)
{
    if (ranges == NULL) return HF_ENOMEM;
    uint32_t count = from->ack_ranges.count;
    HF_ASSERT(count <= ACK_RANGES_KEPT_MAX);
    *to = *from;
    if (count > 0) memcpy(ranges, from->ack_ranges.items, count * sizeof *ranges);
    to->ack_ranges = (struct codec_list){ranges, count};
    return HF_OK;
}

static struct session_aside *find_aside(struct machine *m, uint64_t session)
{
    HF_ASSERT(session != 0);
    for (unsigned i = 0; i < SESSIONS_ASIDE; i++) {
        if (m->aside[i].session == session) return &m->aside[i];
    }
    return NULL;
}

static int settle(struct machine *m, struct session_aside *aside)
{
    if (aside->session == 0) return HF_OK;
    uint64_t session = aside->session;
    aside->session = 0;
    return write_row(m, session, &aside->row);
}

int session_settle(struct machine *m, uint64_t session)
{
    struct session_aside *aside = find_aside(m, session);
    return aside != NULL ? settle(m, aside) : HF_OK;
}

int session_settle_all(struct machine *m)
{
    int rv = HF_OK;
    for (unsigned i = 0; rv == HF_OK && i < SESSIONS_ASIDE; i++) rv = settle(m, &m->aside[i]);
    return rv;
}

static int read_row(struct machine *m, uint64_t session, struct row_session *row)
{
    struct row_key key = row_key_u64(session);
    int rv = session_settle(m, session);
    if (rv != HF_OK) return rv;
    return state_get(m, TABLE_SESSIONS, row_key_slice(&key), &row_session_type, row);
}

int session_get(struct machine *m, uint64_t session, struct row_session *draft,
                struct row_session **out)
{
    HF_ASSERT(session != 0);
    if (session == m->session_id) {
        *out = &m->session;
        return HF_OK;
    }
    if (session == m->guest_id) {
        *out = &m->guest;
        return HF_OK;
    }
    int rv = read_row(m, session, draft);
    if (rv == HF_OK) *out = draft;
    return rv;
}

int session_put(struct machine *m, uint64_t session, const struct row_session *row)
{
    HF_ASSERT((row == &m->session) == (session == m->session_id));
    HF_ASSERT((row == &m->guest) == (session == m->guest_id));
    HF_ASSERT(row->ended != 0 || row->deadline_ms <= row->expires_ms);
    if (row == &m->session || row == &m->guest) return HF_OK;
    return write_row(m, session, row);
}

int session_hold(struct machine *m, uint64_t session)
{
    HF_ASSERT(m->session_id == 0);
    struct session_aside *aside = find_aside(m, session);
    int rv = HF_OK;
    if (aside != NULL) {
        rv = copy_row(&m->session, &aside->row, arena_take(&m->scratch, sizeof aside->ranges));
        aside->session = 0;
    } else {
        rv = read_row(m, session, &m->session);
    }
    if (rv == HF_OK) m->session_id = session;
    return rv;
}

int session_flush(struct machine *m)
{
    HF_ASSERT(m->session_id != 0);
    struct session_aside *aside = &m->aside[m->aside_next];
    m->aside_next = (m->aside_next + 1) % SESSIONS_ASIDE;
    int rv = settle(m, aside);
    if (rv != HF_OK) return rv;
    aside->session = m->session_id;
    m->session_id = 0;
    return copy_row(&aside->row, &m->session, aside->ranges);
}

int session_visit(struct machine *m, uint64_t session)
{
    HF_ASSERT(m->guest_id == 0);
    if (session == m->session_id) return HF_OK;
    int rv = read_row(m, session, &m->guest);
    if (rv == HF_OK) m->guest_id = session;
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

int session_leave(struct machine *m)
{
    if (m->guest_id == 0) return HF_OK;
    HF_ASSERT(m->guest_id != m->session_id);
    uint64_t session = m->guest_id;
    m->guest_id = 0;
    return write_row(m, session, &m->guest);
}
