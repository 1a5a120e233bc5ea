/* Looking at locks: what each call asks, and how an answer is shown to the caller's callback.
 * Strings are copied for their NUL: of a line into the look, of a whole lock into its arena.
 * look_run.c runs them. */
#include "client/look.h"

#include "client/include/holdfast_lock.h"

/* Of CHECK; and of INFO: the answer, decoded, and once more as the caller sees it. */
enum { CHECK_ARENA_BYTES = 4096, VIEW_ARENA_BYTES = 3 * 1024 * 1024 };

/* ------------------------------------------------------------------ one token */

static int show_check(struct look *look)
{
    struct msg_check_reply answer;
    int rv = raw_decode(OP_CODE_CHECK, &look->reply, &look->arena, &answer);
    if (rv != HF_OK) return rv;
    *look->verdict = (int)answer.verdict;
    if (look->left_ms != NULL) *look->left_ms = answer.lease_left_ms;
    return HF_OK;
}

static int make_check(hf_client *client, const char *name, uint64_t fencing_token, int *verdict,
                      uint64_t *lease_left_ms, struct look **out)
{
    if (name == NULL || verdict == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_CHECK, CHECK_ARENA_BYTES, show_check, out);
    if (rv != HF_OK) return rv;
    (*out)->ask.check = (struct msg_check){slice_of(name), fencing_token};
    (*out)->verdict = verdict;
    (*out)->left_ms = lease_left_ms;
    return HF_OK;
}

int hf_lock_check(hf_client *client, const char *name, uint64_t fencing_token, int *verdict,
                  uint64_t *lease_left_ms)
{
    struct look *look = NULL;
    int rv = make_check(client, name, fencing_token, verdict, lease_left_ms, &look);
    return look_run(look, rv);
}

int hf_lock_check_async(hf_client *client, const char *name, uint64_t fencing_token, int *verdict,
                        uint64_t *lease_left_ms, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_check(client, name, fencing_token, verdict, lease_left_ms, &look);
    return look_start(look, rv, done_cb, data, call);
}

/* ------------------------------------------------------------------ locks */

static int show_lock(const void *lock_line, void *data)
{
    const struct lock_line *from = lock_line;
    struct look *look = data;
    struct look_text *text = &look->text;
    hf_lock_line line = {
        .name = look_copy(text->name, sizeof text->name, from->name),
        .mode = (int)from->mode,
        .holder_count = (uint32_t)from->holder_count,
        .queue_length = (uint32_t)from->queue_length,
        .fencing_token = from->fencing_token,
        .since_ms = from->since_ms,
        .lease_left_ms = from->lease_left_ms,
        .delay_left_ms = from->delay_left_ms,
        .client_name = look_copy(text->client_name, sizeof text->client_name, from->client_name),
        .peer = look_copy(text->peer, sizeof text->peer, from->peer),
        .limit = (uint32_t)from->limit,
        .units_taken = (uint32_t)from->units_taken,
        .units_delayed = (uint32_t)from->units_delayed,
        .frozen = from->frozen != 0,
    };
    return look->each.lock_cb(&line, look->each_data);
}

static int make_lock_list(hf_client *client, const hf_lock_filter *filter,
                          int (*each_cb)(const hf_lock_line *line, void *data), void *data,
                          struct look **out)
{
    static const hf_lock_filter all = {0};
    struct look *look;
    if (filter == NULL) filter = &all;
    if (each_cb == NULL || filter->states < 0 || filter->modes < 0) return HF_EINVAL;
    struct msg_list list = {.count_max = LOOK_PAGE_ITEMS,
                            .states = (uint64_t)filter->states,
                            .modes = (uint64_t)filter->modes,
                            .session = filter->session,
                            .older_than_ms = filter->older_than_ms};
    int rv = look_new(client, OP_CODE_LIST, RAW_ARENA_BYTES, look_show_page, &look);
    if (rv != HF_OK) return rv;
    rv = look_keep(look->prefix, filter->prefix, &list.prefix);
    if (rv == HF_OK) rv = look_keep(look->client_name, filter->client_name, &list.client_name);
    if (rv != HF_OK) return look_drop(look, rv);
    raw_pages_init(&look->ask.pages, OP_CODE_LIST, &list, show_lock, look);
    look->each.lock_cb = each_cb;
    look->each_data = data;
    *out = look;
    return HF_OK;
}

int hf_lock_list_with(hf_client *client, const hf_lock_filter *filter,
                      int (*each_cb)(const hf_lock_line *line, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_lock_list(client, filter, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_lock_list_with_async(hf_client *client, const hf_lock_filter *filter,
                            int (*each_cb)(const hf_lock_line *line, void *data), void *each_data,
                            hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_lock_list(client, filter, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

int hf_lock_list(hf_client *client, const char *prefix,
                 int (*each_cb)(const hf_lock_line *line, void *data), void *data)
{
    const hf_lock_filter filter = {.prefix = prefix};
    if (prefix == NULL) return HF_EINVAL;
    return hf_lock_list_with(client, &filter, each_cb, data);
}

int hf_lock_list_async(hf_client *client, const char *prefix,
                       int (*each_cb)(const hf_lock_line *line, void *data), void *each_data,
                       hf_done_cb done_cb, void *data, hf_call *call)
{
    const hf_lock_filter filter = {.prefix = prefix};
    if (prefix == NULL) return HF_EINVAL;
    return hf_lock_list_with_async(client, &filter, each_cb, each_data, done_cb, data, call);
}

_Static_assert((int)HF_LOCK_HELD == (int)LIST_HELD, "one numbering");
_Static_assert((int)HF_LOCK_WAITED == (int)LIST_WAITED, "likewise");
_Static_assert((int)HF_LOCK_DELAYED == (int)LIST_DELAYED, "likewise");

/* ------------------------------------------------------------------ one lock, in a line */

static int show_info(struct look *look)
{
    struct msg_info_reply info;
    int rv = raw_decode(OP_CODE_INFO, &look->reply, &look->arena, &info);
    if (rv != HF_OK) return rv;
    if (info.holder_count == 0 && info.queue_length == 0 && info.delay_left_ms == 0 &&
        info.last_reason == 0)
        return HF_ENOTFOUND;
    struct lock_line line = {.name = info.name,
                             .holder_count = info.holder_count,
                             .queue_length = info.queue_length,
                             .delay_left_ms = info.delay_left_ms,
                             .limit = info.limit,
                             .units_taken = info.units_taken,
                             .units_delayed = info.units_delayed,
                             .frozen = info.frozen};
    if (info.holders.count > 0) {
        const struct holder_info *first = info.holders.items;
        line.mode = first->mode;
        line.fencing_token = first->fencing_token;
        line.since_ms = first->since_ms;
        line.lease_left_ms = first->lease_left_ms;
        line.client_name = first->client_name;
        line.peer = first->peer;
    }
    (void)show_lock(&line, look);
    return HF_OK;
}

static int make_lock_info(hf_client *client, const char *name,
                          int (*each_cb)(const hf_lock_line *line, void *data), void *data,
                          struct look **out)
{
    if (name == NULL || each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_INFO, RAW_ARENA_BYTES, show_info, out);
    if (rv != HF_OK) return rv;
    (*out)->ask.info = (struct msg_info){slice_of(name)};
    (*out)->each.lock_cb = each_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_lock_info(hf_client *client, const char *name,
                 int (*each_cb)(const hf_lock_line *line, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_lock_info(client, name, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_lock_info_async(hf_client *client, const char *name,
                       int (*each_cb)(const hf_lock_line *line, void *data), void *each_data,
                       hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_lock_info(client, name, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

/* ------------------------------------------------------------------ one lock, whole */

static const char *keep_text(struct look *look, struct slice text)
{
    char *copy = arena_take(&look->arena, text.size + 1);
    return copy != NULL ? look_copy(copy, text.size + 1, text) : NULL;
}

/* \return NULL: no room. */
static hf_holder_view *view_holders(struct look *look, const struct codec_list *list)
{
    const struct holder_info *from = list->items;
    hf_holder_view *views = arena_take(&look->arena, (list->count + 1) * sizeof *views);
    for (uint32_t i = 0; views != NULL && i < list->count; i++) {
        views[i] = (hf_holder_view){
            .who = {.session = from[i].session,
                    .owner = from[i].owner,
                    .fencing_token = from[i].fencing_token,
                    .mode = (int)from[i].mode,
                    .permits = (uint32_t)from[i].permits},
            .count = (uint32_t)from[i].count,
            .name_count = (uint32_t)from[i].name_count,
            .since_ms = from[i].since_ms,
            .lease_left_ms = from[i].lease_left_ms,
            .hold_left_ms = from[i].hold_left_ms,
            .asked_back = (int)from[i].asked,
            .asked_left_ms = from[i].asked_left_ms,
            .client_name = keep_text(look, from[i].client_name),
            .peer = keep_text(look, from[i].peer),
            .meta = from[i].meta.data,
            .meta_bytes = from[i].meta.size,
            .traceparent = keep_text(look, from[i].traceparent),
        };
        if (views[i].client_name == NULL || views[i].peer == NULL || views[i].traceparent == NULL)
            return NULL;
    }
    return views;
}

static hf_waiter_view *view_waiters(struct look *look, const struct codec_list *list)
{
    const struct waiter_info *from = list->items;
    hf_waiter_view *views = arena_take(&look->arena, (list->count + 1) * sizeof *views);
    for (uint32_t i = 0; views != NULL && i < list->count; i++) {
        views[i] = (hf_waiter_view){
            .session = from[i].session,
            .owner = from[i].owner,
            .mode = (int)from[i].mode,
            .permits = (uint32_t)from[i].permits,
            .name_count = (uint32_t)from[i].name_count,
            .since_ms = from[i].since_ms,
            .wait_left_ms = from[i].wait_left_ms,
            .client_name = keep_text(look, from[i].client_name),
            .peer = keep_text(look, from[i].peer),
        };
        if (views[i].client_name == NULL || views[i].peer == NULL) return NULL;
    }
    return views;
}

static uint32_t view_transitions(const struct codec_list *list, hf_transition *views)
{
    const struct transition_item *from = list->items;
    HF_ASSERT(list->count <= LOCK_TRANSITIONS_MAX); /* the decoder's promise */
    for (uint32_t i = 0; i < list->count; i++) {
        views[i] = (hf_transition){.at_ms = from[i].at_ms,
                                   .kind = (int)from[i].what,
                                   .reason = (int)from[i].reason,
                                   .fencing_token = from[i].fencing_token,
                                   .session = from[i].session,
                                   .owner = from[i].owner};
    }
    return list->count;
}

static int show_view(struct look *look)
{
    struct msg_info_reply info;
    hf_transition transitions[LOCK_TRANSITIONS_MAX];
    int rv = raw_decode(OP_CODE_INFO, &look->reply, &look->arena, &info);
    if (rv != HF_OK) return rv;
    const hf_lock_view view = {
        .name = keep_text(look, info.name),
        .now_ms = info.now_ms,
        .frozen = info.frozen != 0,
        .limit = (uint32_t)info.limit,
        .units_taken = (uint32_t)info.units_taken,
        .units_delayed = (uint32_t)info.units_delayed,
        .delay_left_ms = info.delay_left_ms,
        .last_loss = (int)info.last_reason,
        .last_loss_at_ms = info.last_at_ms,
        .holder_count = (uint32_t)info.holder_count,
        .holders = view_holders(look, &info.holders),
        .holders_shown = info.holders.count,
        .queue_length = (uint32_t)info.queue_length,
        .waiters = view_waiters(look, &info.waiters),
        .waiters_shown = info.waiters.count,
        .transitions = transitions,
        .transition_count = view_transitions(&info.transitions, transitions),
    };
    if (view.name == NULL || view.holders == NULL || view.waiters == NULL) return HF_ENOMEM;
    look->each.view_cb(&view, look->each_data);
    return HF_OK;
}

static int make_lock_look(hf_client *client, const char *name,
                          void (*show_cb)(const hf_lock_view *view, void *data), void *data,
                          struct look **out)
{
    if (name == NULL || show_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_INFO, VIEW_ARENA_BYTES, show_view, out);
    if (rv != HF_OK) return rv;
    (*out)->ask.info = (struct msg_info){slice_of(name)};
    (*out)->each.view_cb = show_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_lock_look(hf_client *client, const char *name,
                 void (*show_cb)(const hf_lock_view *view, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_lock_look(client, name, show_cb, data, &look);
    return look_run(look, rv);
}

int hf_lock_look_async(hf_client *client, const char *name,
                       void (*show_cb)(const hf_lock_view *view, void *data), void *show_data,
                       hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_lock_look(client, name, show_cb, show_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

_Static_assert((int)HF_END_RELEASED == (int)END_RELEASED, "one numbering");
_Static_assert((int)HF_END_EXPIRED == (int)END_EXPIRED, "likewise");
_Static_assert((int)HF_END_CLOSED == (int)END_CLOSED, "likewise");
_Static_assert((int)HF_END_ABANDONED == (int)END_ABANDONED, "likewise");
_Static_assert((int)HF_END_HOLD_MAX == (int)END_HOLD_MAX, "likewise");
_Static_assert((int)HF_END_FORCED == (int)END_FORCED, "likewise");
_Static_assert((int)HF_END_RESTORED == (int)END_RESTORED, "likewise");
_Static_assert((int)HF_END_RESTORED == (int)END_REASON_MAX, "no reason without a public name");
_Static_assert((int)HF_TRANSITION_GRANTED == (int)TRANSITION_GRANTED, "one numbering");
_Static_assert((int)HF_TRANSITION_ENDED == (int)TRANSITION_ENDED, "likewise");
_Static_assert((int)HF_TRANSITION_DOWNGRADED == (int)TRANSITION_DOWNGRADED, "likewise");
_Static_assert((int)HF_TRANSITION_UPGRADED == (int)TRANSITION_UPGRADED, "likewise");
