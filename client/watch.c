/* Watching events: what each call asks, and how an answer is shown, event by event; the place moves
 * on at its end. look_run.c runs the calls. Switching prefixes on and off for administrators. */
#include "client/include/holdfast_watch.h"

#include "client/look.h"

enum { WATCH_COUNT_USUAL = 200 };

/* \return what the caller's callback does. */
static int show_event(struct look *look, const struct event_line *line)
{
    char branch[NAME_BYTES_MAX + 1];
    char operator_name[NAME_BYTES_MAX + 1];
    struct look_text *text = &look->text;
    const hf_event event = {
        .number = line->number,
        .kind = (int)line->kind,
        .what = (int)line->what,
        .name = look_copy(text->name, sizeof text->name, line->name),
        .branch = look_copy(branch, sizeof branch, line->branch),
        .fencing_token = line->fencing_token,
        .session = line->session,
        .serial = line->serial,
        .at_ms = line->at_ms,
        .wall_ms = line->wall_ms,
        .client_name = look_copy(text->client_name, sizeof text->client_name, line->client_name),
        .operator_name = look_copy(operator_name, sizeof operator_name, line->operator_name),
    };
    return look->each.event_cb(&event, look->each_data);
}

/* Rising, from what was asked for on and below `next`: else it is no server's answer. */
static bool is_sound(const struct msg_watch_reply *reply, uint64_t from)
{
    const struct event_line *events = reply->events.items;
    uint64_t least = from;
    if (reply->gap != 0) return reply->events.count == 0 && from != 0;
    for (uint32_t i = 0; i < reply->events.count; i++) {
        if (events[i].number < least) return false;
        least = events[i].number + 1;
    }
    return reply->next >= least;
}

static int show_answer(struct look *look)
{
    struct msg_watch_reply reply;
    hf_watch *watch = look->watch;
    int rv = raw_decode(OP_CODE_WATCH, &look->reply, &look->arena, &reply);
    if (rv != HF_OK) return rv;
    if (!is_sound(&reply, watch->next)) return HF_ECORRUPT;
    const struct event_line *events = reply.events.items;
    uint64_t next = reply.next;
    for (uint32_t i = 0; i < reply.events.count; i++) {
        if (show_event(look, &events[i]) == 0) continue;
        next = events[i].number + 1;
        break;
    }
    watch->next = next;
    watch->at_ms = reply.at_ms;
    return reply.gap != 0 ? HF_EGAP : HF_OK;
}

static int make_watch(hf_client *client, hf_watch *watch,
                      int (*each_cb)(const hf_event *event, void *data), void *data,
                      struct look **out)
{
    if (client == NULL || watch == NULL || each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_WATCH, RAW_ARENA_BYTES, show_answer, out);
    if (rv != HF_OK) return rv;
    struct look *look = *out;
    look->ask.watch = (struct msg_watch){
        .prefix = shell_text(watch->prefix),
        .kinds = watch->kinds,
        .from = watch->next,
        .wait_ms = watch->wait_ms,
        .events_max = watch->count_max != 0 ? watch->count_max : WATCH_COUNT_USUAL,
    };
    look->wait_ms = watch->wait_ms;
    look->watch = watch;
    look->each.event_cb = each_cb;
    look->each_data = data;
    return HF_OK;
}

int hf_watch_poll(hf_client *client, hf_watch *watch,
                  int (*each_cb)(const hf_event *event, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_watch(client, watch, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_watch_poll_async(hf_client *client, hf_watch *watch,
                        int (*each_cb)(const hf_event *event, void *data), void *each_data,
                        hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_watch(client, watch, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

_Static_assert((int)HF_EVENT_ADMIN == (int)EVENT_ADMIN, "the wire's numbers");
_Static_assert((int)HF_EVENT_TIMER_FIRED == (int)EVENT_KIND_MAX, "likewise, all of them");

/* ------------------------------------------------------------------ switching */

int hf_events_switch_async(hf_client *client, const char *prefix, int on, const char *reason,
                           const char *operator_name, hf_request *request, hf_done_cb done_cb,
                           void *data, hf_call *call)
{
    if (client == NULL || operator_name == NULL || done_cb == NULL) return HF_EINVAL;
    const struct msg_events_switch message = {
        .prefix = shell_text(prefix),
        .on = on != 0,
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    return shell_act(client, OP_CODE_EVENTS_SWITCH, &message,
                     &(struct ending){done_cb, data, request, call});
}

int hf_events_switch(hf_client *client, const char *prefix, int on, const char *reason,
                     const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_events_switch_async(client, prefix, on, reason, operator_name,
                                                  request, shell_wake, &w, NULL));
}

static int show_prefixes(struct look *look)
{
    struct msg_event_prefixes_reply reply;
    int rv = raw_decode(OP_CODE_EVENT_PREFIXES, &look->reply, &look->arena, &reply);
    if (rv != HF_OK) return rv;
    const struct event_prefix_line *lines = reply.prefixes.items;
    for (uint32_t i = 0; i < reply.prefixes.count; i++) {
        char operator_name[NAME_BYTES_MAX + 1];
        char reason[EVIDENCE_BYTES_MAX + 1];
        const hf_events_prefix prefix = {
            .prefix = look_copy(look->text.name, sizeof look->text.name, lines[i].prefix),
            .since_ms = lines[i].since_ms,
            .wall_ms = lines[i].wall_ms,
            .operator_name = look_copy(operator_name, sizeof operator_name, lines[i].operator_name),
            .reason = look_copy(reason, sizeof reason, lines[i].reason),
        };
        if (look->each.events_cb(&prefix, look->each_data) != 0) break;
    }
    return HF_OK;
}

static int make_list(hf_client *client, int (*each_cb)(const hf_events_prefix *prefix, void *data),
                     void *data, struct look **out)
{
    if (each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_EVENT_PREFIXES, RAW_ARENA_BYTES, show_prefixes, out);
    if (rv != HF_OK) return rv;
    (*out)->each.events_cb = each_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_events_list(hf_client *client, int (*each_cb)(const hf_events_prefix *prefix, void *data),
                   void *data)
{
    struct look *look = NULL;
    int rv = make_list(client, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_events_list_async(hf_client *client,
                         int (*each_cb)(const hf_events_prefix *prefix, void *data),
                         void *each_data, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_list(client, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}
