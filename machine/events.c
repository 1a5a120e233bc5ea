/* Telling events, keeping as many as the setting says, and the prefixes under which everything is
 * told. See the header. */
#include "machine/events.h"

#include "base/planted.h"
#include "machine/acts.h"
#include "machine/deadlines.h"
#include "machine/principals.h"
#include "machine/sessions.h"

/* ------------------------------------------------------------------ the window */

int event_get(struct machine *m, uint64_t number, struct row_event *row)
{
    struct row_key key = row_key_u64(number);
    return state_get(m, TABLE_EVENTS, row_key_slice(&key), &row_event_type, row);
}

int events_find(struct machine *m, uint64_t from, uint64_t *at, struct row_event *row)
{
    *at = from;
    if (from >= events_next(m)) return HF_ENOTFOUND;
    int rv = event_get(m, from, row);
    if (rv != HF_ENOTFOUND) return rv;
    struct row_key key = row_key_u64(from);
    struct slice found;
    struct slice value;
    rv = state_first(m, TABLE_EVENTS, (struct slice){0}, row_key_slice(&key), &found, &value);
    *at = rv == HF_OK ? row_key_last(found) : events_next(m);
    return rv == HF_OK ? state_decode(m, &row_event_type, value, row) : rv;
}

/* The oldest goes. */
static int drop_first(struct machine *m)
{
    uint64_t first = m->meta.event_first;
    struct row_key key = row_key_u64(first);
    int rv = state_del(m, TABLE_EVENTS, row_key_slice(&key));
    if (rv != HF_OK) return rv;
    m->meta.event_first = 0;
    m->meta_changed = true;
    if (store_count(m->store, TABLE_EVENTS) == 0) return HF_OK;
    struct row_event row;
    uint64_t next;
    size_t mark = state_mark(m);
    rv = events_find(m, first + 1, &next, &row);
    if (rv == HF_OK) m->meta.event_first = next;
    state_reset(m, mark);
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

static bool are_too_many(const struct machine *m)
{
    return store_count(m->store, TABLE_EVENTS) > setting_get(m, SETTING_EVENTS_WINDOW);
}

static int trim(struct machine *m, unsigned rows_max)
{
    int rv = HF_OK;
    for (unsigned i = 0; rv == HF_OK && i < rows_max && are_too_many(m); i++) rv = drop_first(m);
    return rv;
}

int events_window_changed(struct machine *m)
{
    static const uint8_t id[1] = {0};
    if (!are_too_many(m)) return HF_OK;
    return deadline_put(m, state_now(m), DEADLINE_EVENTS, slice_make(id, sizeof id));
}

int events_trim_due(struct machine *m, struct slice id)
{
    if (id.size != 1) return HF_ECORRUPT;
    int rv = trim(m, EVENTS_TRIM_DUE);
    return rv == HF_OK ? events_window_changed(m) : rv;
}

/* ------------------------------------------------------------------ telling */

static bool is_covered(const struct machine *m, struct slice name)
{
    for (unsigned i = 0; i < m->event_prefix_count; i++) {
        const struct event_prefix *prefix = &m->event_prefixes[i];
        if (slice_starts(name, slice_make(prefix->bytes, prefix->size))) return true;
    }
    return false;
}

/* Its row may be gone: a record outlives the session of its attempt. */
static int name_client(struct machine *m, uint64_t session, struct slice *name)
{
    struct row_session_info info;
    if (session == 0 || name->size > 0) return HF_OK;
    int rv = session_info_get(m, session, &info);
    if (rv == HF_OK) *name = info.name;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int put(struct machine *m, const struct event *event)
{
    struct row_event row = {
        .kind = event->kind,
        .at_ms = state_now(m),
        .wall_ms = m->meta.wall_ms,
        .name = event->name,
        .session = event->session,
        .fencing_token = event->fencing_token,
        .what = event->what,
        .serial = event->serial,
        .client_name = event->client_name,
        .operator_name = event->operator_name,
        .branch = event->branch,
    };
    int rv = name_client(m, event->session, &row.client_name);
    if (rv != HF_OK) return rv;
    uint64_t number = events_next(m);
    struct row_key key = row_key_u64(number);
    rv = state_put(m, TABLE_EVENTS, row_key_slice(&key), &row_event_type, &row);
    m->meta.event_counter += 1;
    if (m->meta.event_first == 0) m->meta.event_first = number;
    m->meta_changed = true;
    return rv;
}

int event_tell(struct machine *m, const struct event *event)
{
    HF_ASSERT(event->kind >= EVENT_LOST && event->kind <= EVENT_KIND_MAX);
    HF_ASSERT(m->meta.event_counter < COUNTER_MAX - 1);
    if (event->kind > EVENT_ADMIN && !is_covered(m, event->name)) return HF_OK;
    size_t mark = state_mark(m);
    int rv = put(m, event);
    if (rv == HF_OK) rv = trim(m, EVENTS_TRIM_EACH);
    state_reset(m, mark);
    if (rv == HF_OK && m->sink->event_cb != NULL)
        m->sink->event_cb(event->kind, event->name, m->sink->data);
    return rv;
}

int event_tell_names(struct machine *m, struct event event, const struct codec_strs *names)
{
    int rv = HF_OK;
    for (uint32_t i = 0; rv == HF_OK && i < names->count; i++) {
        event.name = names->items[i];
        rv = event_tell(m, &event);
    }
    return rv;
}

/* ------------------------------------------------------------------ prefixes */

int events_load(struct machine *m)
{
    struct row_key all = {.size = 0};
    struct walk walk;
    m->event_prefix_count = 0;
    int rv = walk_first(&walk, m, TABLE_EVENT_PREFIXES, &all, NULL);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        bool fits = walk.key.size >= 1 && walk.key.size <= 1 + NAME_BYTES_MAX &&
                    m->event_prefix_count < EVENT_PREFIXES_MAX;
        if (!fits) {
            walk_close(&walk);
            return HF_ECORRUPT;
        }
        struct event_prefix *prefix = &m->event_prefixes[m->event_prefix_count++];
        prefix->size = (uint8_t)(walk.key.size - 1);
        memcpy(prefix->bytes, walk.key.data + 1, prefix->size);
    }
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

static int switch_on(struct machine *m, const struct msg_events_switch *request, struct slice key)
{
    const struct row_event_prefix row = {
        .since_ms = state_now(m),
        .wall_ms = m->meta.wall_ms,
        .operator_name = request->operator_name,
        .reason = request->reason,
    };
    return state_put(m, TABLE_EVENT_PREFIXES, key, &row_event_prefix_type, &row);
}

int events_switch(struct machine *m, const struct op_context *ctx, const void *request,
                  struct reply_out *out)
{
    const struct msg_events_switch *want = request;
    HF_ASSERT(m->session_id == ctx->envelope->session);
    struct row_key key = row_key_frozen(want->prefix);
    struct row_event_prefix row;
    int rv = state_get(m, TABLE_EVENT_PREFIXES, row_key_slice(&key), &row_event_prefix_type, &row);
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    bool is_on = rv == HF_OK;
    if (is_on && want->on == 1) return reply_set(out, ctx->op, HF_OK, NULL); /* nothing to do */
    if (!is_on && want->on == 0) return reply_set(out, ctx->op, HF_ENOTFOUND, NULL);
    if (want->on == 1 && m->event_prefix_count >= EVENT_PREFIXES_MAX)
        return quota_tell(out, ctx->op, QUOTA_EVENT_PREFIXES, EVENT_PREFIXES_MAX,
                          EVENT_PREFIXES_MAX);
    rv = want->on == 1 ? switch_on(m, want, row_key_slice(&key))
                       : state_del(m, TABLE_EVENT_PREFIXES, row_key_slice(&key));
    if (rv == HF_OK) rv = events_load(m);
    const struct act act = {want->prefix, want->operator_name, want->reason,
                            is_on ? "events on" : "events off", is_on ? "events off" : "events on"};
    if (rv == HF_OK) rv = act_keep(m, ctx, &act);
    return rv == HF_OK ? reply_set(out, ctx->op, HF_OK, NULL) : rv;
}

int events_prefixes(struct machine *m, const void *request, uint64_t elapsed_ms,
                    struct reply_out *out)
{
    (void)request;
    (void)elapsed_ms;
    struct event_prefix_line lines[EVENT_PREFIXES_MAX];
    struct msg_event_prefixes_reply reply = {{lines, m->event_prefix_count}};
    for (unsigned i = 0; i < m->event_prefix_count; i++) {
        const struct event_prefix *prefix = &m->event_prefixes[i];
        struct slice text = slice_make(prefix->bytes, prefix->size);
        struct row_key key = row_key_frozen(text);
        struct row_event_prefix row;
        int rv =
            state_get(m, TABLE_EVENT_PREFIXES, row_key_slice(&key), &row_event_prefix_type, &row);
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
        lines[i] = (struct event_prefix_line){
            .prefix = text,
            .since_ms = row.since_ms,
            .wall_ms = row.wall_ms,
            .operator_name = row.operator_name,
            .reason = row.reason,
        };
    }
    return reply_set(out, OP_CODE_EVENT_PREFIXES, HF_OK, &reply);
}
