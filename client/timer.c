/* Timers: one numbered request each, and what its answer says beside its status. What a poll brings
 * is decoded on the I/O thread into memory of its own, for its caller to look at in peace; a poll
 * that is cancelled, or times out, leaves nothing: leases end by themselves. */
#include "client/include/holdfast_timer.h"

#include <stdlib.h>

#include "client/look.h"
#include "client/timer.h"

enum { ATTEMPTS_MAX_DEFAULT = 10 };

_Static_assert((int)HF_TIMER_SCHEDULED == (int)TIMER_SCHEDULED, "handed out as it is");
_Static_assert((int)HF_TIMER_OLDER == (int)TIMER_OLDER, "handed out as it is");

/* ------------------------------------------------------------------ SET, CANCEL */

int timer_see(uint16_t op, int status, struct slice reply, hf_timer_view *view)
{
    struct msg_timer_set_reply set;
    struct msg_timer_fired fired;
    if (status == HF_OK && op == OP_CODE_TIMER_SET) {
        int rv = codec_decode(&msg_timer_set_reply_type, reply, NULL, &set);
        if (rv != HF_OK) return HF_ECORRUPT;
        *view = (hf_timer_view){
            .verdict = (int)set.verdict, .version = set.version, .left_ms = set.left_ms};
    }
    if (status == HF_EFIRED) {
        int rv = codec_decode(&msg_timer_fired_type, reply, NULL, &fired);
        if (rv != HF_OK) return HF_ECORRUPT;
        *view = (hf_timer_view){
            .version = fired.version, .fired_ms = fired.fired_ms, .ago_ms = fired.ago_ms};
    }
    return status;
}

/* take_cb: `output` is the caller's view, or NULL. */
static int take_view(struct call *call, int verdict)
{
    if (call->output == NULL || call->cancelling) return verdict;
    return timer_see(call->op->code, verdict, buffer_slice(&call->reply), call->output);
}

static int start(hf_client *client, uint16_t op, const void *message, hf_timer_view *view,
                 const struct ending *to)
{
    struct call *call;
    int rv = shell_begin(client, op, message, &call);
    if (rv != HF_OK) return rv;
    call->fate = to->request != NULL ? FATE_HOLD : FATE_REPEAT;
    call->wants_reply = view != NULL;
    call->output = view;
    call->take_cb = take_view;
    shell_submit(client, call, 0, to);
    return HF_OK;
}

int timer_ask(const char *key, const hf_timer *timer, struct msg_timer_set *set)
{
    if (key == NULL || timer == NULL) return HF_EINVAL;
    if (timer->payload == NULL && timer->payload_bytes != 0) return HF_EINVAL;
    *set = (struct msg_timer_set){
        .key = slice_of(key),
        .group = shell_text(timer->group),
        .delay_ms = timer->delay_ms,
        .version = timer->version,
        .attempts_max = timer->attempts_max != 0 ? timer->attempts_max : ATTEMPTS_MAX_DEFAULT,
        .payload = slice_make(timer->payload, timer->payload_bytes),
    };
    return HF_OK;
}

int hf_timer_set_async(hf_client *client, const char *key, const hf_timer *timer,
                       hf_timer_view *view, hf_request *request, hf_done_cb done_cb, void *data,
                       hf_call *call)
{
    struct msg_timer_set set;
    if (client == NULL || done_cb == NULL) return HF_EINVAL;
    int rv = timer_ask(key, timer, &set);
    if (rv != HF_OK) return rv;
    return start(client, OP_CODE_TIMER_SET, &set, view,
                 &(struct ending){done_cb, data, request, call});
}

int hf_timer_set(hf_client *client, const char *key, const hf_timer *timer, hf_timer_view *view,
                 hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w,
                       hf_timer_set_async(client, key, timer, view, request, shell_wake, &w, NULL));
}

int hf_timer_cancel_async(hf_client *client, const char *key, hf_timer_view *view,
                          hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    if (client == NULL || key == NULL || done_cb == NULL) return HF_EINVAL;
    struct msg_timer_cancel cancel = {slice_of(key)};
    return start(client, OP_CODE_TIMER_CANCEL, &cancel, view,
                 &(struct ending){done_cb, data, request, call});
}

int hf_timer_cancel(hf_client *client, const char *key, hf_timer_view *view, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_timer_cancel_async(client, key, view, request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ POLL */

struct hf_timer_batch {
    struct arena arena;            /* owned: everything that the deliveries point to */
    hf_timer_delivery *deliveries; /* in it */
    size_t count;                  /* of them */
};

static bool copy_delivery(struct arena *arena, const struct timer_delivery *from,
                          hf_timer_delivery *to)
{
    char *key = arena_take(arena, from->key.size + 1);
    if (key == NULL) return false;
    memcpy(key, from->key.data, from->key.size);
    key[from->key.size] = '\0';
    *to = (hf_timer_delivery){
        .key = key,
        .version = from->version,
        .fencing_token = from->fencing_token,
        .attempt = (uint32_t)from->attempt,
        .attempts_max = (uint32_t)from->attempts_max,
        .late_ms = from->late_ms,
        .payload = from->payload.size > 0 ? from->payload.data : NULL,
        .payload_bytes = from->payload.size,
    };
    return true;
}

/* The answer's bytes are copied first: payloads are borrowed from them. */
static int fill_batch(hf_timer_batch *batch, struct slice bytes)
{
    struct msg_timer_poll_reply reply;
    void *copy = arena_take(&batch->arena, bytes.size);
    if (copy == NULL) return HF_ENOMEM;
    memcpy(copy, bytes.data, bytes.size);
    int rv = codec_decode(&msg_timer_poll_reply_type, slice_make(copy, bytes.size), &batch->arena,
                          &reply);
    if (rv != HF_OK) return rv == HF_ENOMEM ? rv : HF_ECORRUPT;
    const struct timer_delivery *items = reply.deliveries.items;
    batch->count = reply.deliveries.count;
    batch->deliveries = arena_take(&batch->arena, (batch->count + 1) * sizeof *batch->deliveries);
    if (batch->deliveries == NULL) return HF_ENOMEM;
    for (size_t i = 0; i < batch->count; i++) {
        if (!copy_delivery(&batch->arena, &items[i], &batch->deliveries[i])) return HF_ENOMEM;
    }
    return HF_OK;
}

static int take_batch(struct call *call, int verdict)
{
    enum { ITEM_BYTES = sizeof(struct timer_delivery) + sizeof(hf_timer_delivery) + 64 };
    if (verdict != HF_OK || call->cancelling) return verdict;
    struct slice reply = buffer_slice(&call->reply);
    if (reply.size == 0) return HF_ECORRUPT;
    hf_timer_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL) return HF_ENOMEM;
    int rv = arena_init(&batch->arena, 2 * reply.size + (TIMER_POLL_MAX + 2) * ITEM_BYTES);
    if (rv == HF_OK) rv = fill_batch(batch, reply);
    if (rv != HF_OK) {
        hf_timer_batch_free(batch);
        return rv;
    }
    *(hf_timer_batch **)call->output = batch;
    return HF_OK;
}

int hf_timer_poll_async(hf_client *client, const char *group, uint32_t count_max, uint64_t lease_ms,
                        uint64_t wait_ms, hf_timer_batch **batch, hf_done_cb done_cb, void *data,
                        hf_call *call)
{
    struct call *made;
    if (client == NULL || group == NULL || batch == NULL || done_cb == NULL) return HF_EINVAL;
    struct msg_timer_poll poll = {slice_of(group), count_max, lease_ms, wait_ms};
    int rv = shell_begin(client, OP_CODE_TIMER_POLL, &poll, &made);
    if (rv != HF_OK) return rv;
    made->fate = FATE_CANCEL;
    made->wants_reply = true;
    made->output = batch;
    made->take_cb = take_batch;
    shell_submit(client, made, wait_ms, &(struct ending){done_cb, data, NULL, call});
    return HF_OK;
}

int hf_timer_poll(hf_client *client, const char *group, uint32_t count_max, uint64_t lease_ms,
                  uint64_t wait_ms, hf_timer_batch **batch)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_timer_poll_async(client, group, count_max, lease_ms, wait_ms, batch,
                                               shell_wake, &w, NULL));
}

size_t hf_timer_batch_count(const hf_timer_batch *batch)
{
    return batch != NULL ? batch->count : 0;
}

const hf_timer_delivery *hf_timer_batch_at(const hf_timer_batch *batch, size_t index)
{
    return index < hf_timer_batch_count(batch) ? &batch->deliveries[index] : NULL;
}

void hf_timer_batch_free(hf_timer_batch *batch)
{
    if (batch == NULL) return;
    arena_close(&batch->arena);
    free(batch);
}

/* ------------------------------------------------------------------ ACK, NACK, REQUEUE */

int hf_timer_ack_async(hf_client *client, const char *key, uint64_t fencing_token,
                       hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    if (client == NULL || key == NULL || key[0] == '\0' || done_cb == NULL) return HF_EINVAL;
    struct msg_timer_ack ack = {slice_of(key), fencing_token};
    return shell_act(client, OP_CODE_TIMER_ACK, &ack,
                     &(struct ending){done_cb, data, request, call});
}

int hf_timer_ack(hf_client *client, const char *key, uint64_t fencing_token, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(
        &w, hf_timer_ack_async(client, key, fencing_token, request, shell_wake, &w, NULL));
}

int hf_timer_nack_async(hf_client *client, const char *key, uint64_t fencing_token,
                        uint64_t delay_ms, hf_request *request, hf_done_cb done_cb, void *data,
                        hf_call *call)
{
    if (client == NULL || key == NULL || key[0] == '\0' || done_cb == NULL) return HF_EINVAL;
    struct msg_timer_nack nack = {slice_of(key), fencing_token, delay_ms};
    return shell_act(client, OP_CODE_TIMER_NACK, &nack,
                     &(struct ending){done_cb, data, request, call});
}

int hf_timer_nack(hf_client *client, const char *key, uint64_t fencing_token, uint64_t delay_ms,
                  hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_timer_nack_async(client, key, fencing_token, delay_ms, request,
                                               shell_wake, &w, NULL));
}

int hf_timer_requeue_async(hf_client *client, const char *key, const char *reason,
                           const char *operator_name, hf_request *request, hf_done_cb done_cb,
                           void *data, hf_call *call)
{
    if (client == NULL || key == NULL || operator_name == NULL || done_cb == NULL) return HF_EINVAL;
    struct msg_timer_requeue requeue = {
        .key = slice_of(key),
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    return shell_act(client, OP_CODE_TIMER_REQUEUE, &requeue,
                     &(struct ending){done_cb, data, request, call});
}

int hf_timer_requeue(hf_client *client, const char *key, const char *reason,
                     const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_timer_requeue_async(client, key, reason, operator_name, request,
                                                  shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ LIST */

static const char *const state_words[] = {"",        "PENDING", "READY", "DELIVERED",
                                          "DELAYED", "DEAD",    "ACKED", "CANCELLED"};
_Static_assert(HF_ARRAY_COUNT(state_words) == TIMER_STATE_MAX + 1, "a word a state");

static int show_timer(const void *timer_line, void *data)
{
    const struct timer_line *from = timer_line;
    struct look *look = data;
    char group[NAME_BYTES_MAX + 1];
    const hf_timer_line line = {
        .key = look_copy(look->text.name, sizeof look->text.name, from->key),
        .group = look_copy(group, sizeof group, from->group),
        .state = state_words[from->state],
        .version = from->version,
        .left_ms = from->left_ms,
        .fired_ms = from->fired_ms,
        .attempt = (uint32_t)from->attempt,
        .attempts_max = (uint32_t)from->attempts_max,
        .fencing_token = from->fencing_token,
        .payload_bytes = from->payload_bytes,
    };
    return look->each.timer_cb(&line, look->each_data);
}

static int find_state(const char *word, uint64_t *state)
{
    for (*state = TIMER_ABSENT; *state <= TIMER_STATE_MAX; *state += 1) {
        if (strcmp(word != NULL ? word : "", state_words[*state]) == 0) return HF_OK;
    }
    return HF_EINVAL;
}

static int make_list(hf_client *client, const char *prefix, const char *group, const char *state,
                     int (*each_cb)(const hf_timer_line *line, void *data), void *data,
                     struct look **out)
{
    struct msg_timer_list list = {.count_max = LOOK_PAGE_ITEMS};
    struct look *look;
    if (each_cb == NULL || find_state(state, &list.state) != HF_OK) return HF_EINVAL;
    if (group != NULL && strlen(group) > TIMER_GROUP_BYTES_MAX) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_TIMER_LIST, RAW_ARENA_BYTES, look_show_page, &look);
    if (rv != HF_OK) return rv;
    rv = look_keep(look->prefix, prefix, &list.prefix);
    if (rv == HF_OK) rv = look_keep(look->group, group, &list.group);
    if (rv != HF_OK) return look_drop(look, rv);
    raw_pages_init(&look->ask.pages, OP_CODE_TIMER_LIST, &list, show_timer, look);
    look->each.timer_cb = each_cb;
    look->each_data = data;
    *out = look;
    return HF_OK;
}

int hf_timer_list(hf_client *client, const char *prefix, const char *group, const char *state,
                  int (*each_cb)(const hf_timer_line *line, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_list(client, prefix, group, state, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_timer_list_async(hf_client *client, const char *prefix, const char *group, const char *state,
                        int (*each_cb)(const hf_timer_line *line, void *data), void *each_data,
                        hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_list(client, prefix, group, state, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}
