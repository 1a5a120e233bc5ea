#include "client/cli/lock_view.h"

#include <inttypes.h>
#include <stdio.h>

#include "client/cli/output.h"
#include "client/cli/words.h"

/* ------------------------------------------------------------------ JSON */

static void print_holder_json(struct json *j, const struct holder_info *h)
{
    json_object(j, NULL);
    json_token(j, "fencing_token", h->fencing_token);
    json_token(j, "session", h->session);
    json_token(j, "owner", h->owner);
    json_text(j, "mode", slice_of(word_of_mode(h->mode)));
    json_number(j, "permits", h->permits);
    json_number(j, "count", h->count);
    json_number(j, "names", h->name_count);
    json_number(j, "since_ms", h->since_ms);
    json_number(j, "lease_left_ms", h->lease_left_ms);
    json_number(j, "hold_left_ms", h->hold_left_ms);
    json_text(j, "asked_back", slice_of(word_of_asked(h->asked)));
    json_number(j, "asked_left_ms", h->asked_left_ms);
    json_text(j, "client_name", h->client_name);
    json_text(j, "peer", h->peer);
    json_text(j, "meta", h->meta);
    json_text(j, "traceparent", h->traceparent);
    json_end(j);
}

static void print_waiter_json(struct json *j, const struct waiter_info *w)
{
    json_object(j, NULL);
    json_token(j, "session", w->session);
    json_token(j, "owner", w->owner);
    json_text(j, "mode", slice_of(word_of_mode(w->mode)));
    json_number(j, "permits", w->permits);
    json_number(j, "names", w->name_count);
    json_number(j, "since_ms", w->since_ms);
    json_number(j, "wait_left_ms", w->wait_left_ms);
    json_text(j, "client_name", w->client_name);
    json_text(j, "peer", w->peer);
    json_end(j);
}

static void print_transition_json(struct json *j, const struct transition_item *t)
{
    json_object(j, NULL);
    json_number(j, "at_ms", t->at_ms);
    json_text(j, "what", slice_of(word_of_transition(t->what)));
    json_text(j, "why", slice_of(word_of_reason(t->reason)));
    json_token(j, "fencing_token", t->fencing_token);
    json_token(j, "session", t->session);
    json_token(j, "owner", t->owner);
    json_end(j);
}

static void print_json(const struct msg_info_reply *info)
{
    struct json j = {.depth = 0};
    const struct holder_info *holders = info->holders.items;
    const struct waiter_info *waiters = info->waiters.items;
    const struct transition_item *transitions = info->transitions.items;
    json_object(&j, NULL);
    json_text(&j, "name", info->name);
    json_number(&j, "now_ms", info->now_ms);
    json_number(&j, "holder_count", info->holder_count);
    json_array(&j, "holders");
    for (uint32_t i = 0; i < info->holders.count; i++) print_holder_json(&j, &holders[i]);
    json_end(&j);
    json_number(&j, "queue_length", info->queue_length);
    json_array(&j, "queue");
    for (uint32_t i = 0; i < info->waiters.count; i++) print_waiter_json(&j, &waiters[i]);
    json_end(&j);
    json_number(&j, "delay_left_ms", info->delay_left_ms);
    json_number(&j, "limit", info->limit);
    json_number(&j, "units_taken", info->units_taken);
    json_number(&j, "units_delayed", info->units_delayed);
    json_bool(&j, "frozen", info->frozen != 0);
    json_text(&j, "last_loss", slice_of(word_of_reason(info->last_reason)));
    json_number(&j, "last_loss_at_ms", info->last_at_ms);
    json_array(&j, "transitions");
    for (uint32_t i = 0; i < info->transitions.count; i++)
        print_transition_json(&j, &transitions[i]);
    json_end(&j);
    json_end(&j);
}

/* ------------------------------------------------------------------ tables */

/* How long ago, in cluster time. */
static const char *ago(const struct msg_info_reply *info, uint64_t at_ms, char out[24])
{
    return text_of_ms(info->now_ms > at_ms ? info->now_ms - at_ms : 0, out);
}

/* "exclusive", "2 permits", "shared, 3 names": how it is held or waited for. */
static void add_mode(struct table *t, uint64_t mode, uint64_t permits, uint64_t name_count)
{
    char names[40] = "";
    if (name_count > 1) (void)snprintf(names, sizeof names, ", %" PRIu64 " names", name_count);
    if (mode == MODE_PERMITS) {
        table_cell(t, "%" PRIu64 " permit%s%s", permits, permits == 1 ? "" : "s", names);
    } else {
        table_cell(t, "%s%s", word_of_mode(mode), names);
    }
}

static void print_holders(const struct msg_info_reply *info)
{
    static const char *const headings[] = {"HOLDER",     "MODE",     ">TOKEN", ">HELD", ">LEFT",
                                           "ASKED BACK", ">SESSION", "PEER",   "META"};
    const struct holder_info *holders = info->holders.items;
    struct table t;
    char text[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    for (uint32_t i = 0; i < info->holders.count; i++) {
        const struct holder_info *h = &holders[i];
        table_text(&t, h->client_name);
        add_mode(&t, h->mode, h->permits, h->name_count);
        table_cell(&t, "%" PRIu64, h->fencing_token);
        table_cell(&t, "%s", ago(info, h->since_ms, text));
        table_cell(&t, "%s", text_of_ms(h->lease_left_ms, text));
        if (h->asked == ASKED_BACK) {
            table_cell(&t, "in %s", text_of_ms(h->asked_left_ms, text));
        } else {
            table_cell(&t, "%s", word_of_asked(h->asked));
        }
        table_cell(&t, "%" PRIu64, h->session);
        table_text(&t, h->peer);
        table_text(&t, h->meta);
    }
    table_close(&t);
    if (info->holders.count < info->holder_count) printf("... only the first are shown\n");
}

static void print_queue(const struct msg_info_reply *info)
{
    static const char *const headings[] = {">PLACE", "WAITER",   "MODE", ">WAITED",
                                           ">LEFT",  ">SESSION", "PEER"};
    const struct waiter_info *waiters = info->waiters.items;
    struct table t;
    char text[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    for (uint32_t i = 0; i < info->waiters.count; i++) {
        const struct waiter_info *w = &waiters[i];
        table_cell(&t, "%" PRIu32, i + 1);
        table_text(&t, w->client_name);
        add_mode(&t, w->mode, w->permits, w->name_count);
        table_cell(&t, "%s", ago(info, w->since_ms, text));
        table_cell(&t, "%s", text_of_ms(w->wait_left_ms, text));
        table_cell(&t, "%" PRIu64, w->session);
        table_text(&t, w->peer);
    }
    table_close(&t);
    if (info->waiters.count < info->queue_length) printf("... only the first are shown\n");
}

static void print_transitions(const struct msg_info_reply *info)
{
    static const char *const headings[] = {">AGO", "WHAT", "WHY", ">TOKEN", ">SESSION", ">OWNER"};
    const struct transition_item *transitions = info->transitions.items;
    struct table t;
    char text[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    for (uint32_t i = 0; i < info->transitions.count; i++) {
        const struct transition_item *item = &transitions[i];
        table_cell(&t, "%s", ago(info, item->at_ms, text));
        table_cell(&t, "%s", word_of_transition(item->what));
        table_cell(&t, "%s", word_of_reason(item->reason));
        table_cell(&t, "%" PRIu64, item->fencing_token);
        table_cell(&t, "%" PRIu64, item->session);
        table_cell(&t, "%" PRIu64, item->owner);
    }
    table_close(&t);
}

static void print_view(const struct msg_info_reply *info)
{
    char text[24];
    printf("%" PRIu64 " holding, %" PRIu64 " waiting\n", info->holder_count, info->queue_length);
    if (info->limit > 0) {
        printf("permits: %" PRIu64 " of %" PRIu64 " taken", info->units_taken, info->limit);
        if (info->units_delayed > 0)
            printf(", %" PRIu64 " of lost holders not back yet", info->units_delayed);
        printf("\n");
    }
    if (info->frozen != 0) printf("frozen: nothing is granted; see `holdfast frozen`\n");
    if (info->delay_left_ms > 0) {
        bool forced = info->last_reason == END_FORCED;
        printf("%s: closed for %s more%s\n", forced ? "forced" : "lock-delay",
               text_of_ms(info->delay_left_ms, text),
               forced ? ", unless its holder says before that it knows" : "");
    }
    if (info->last_reason != 0) {
        printf("last loss: %s, %s ago\n", word_of_reason(info->last_reason),
               ago(info, info->last_at_ms, text));
    }
    if (info->holders.count > 0) print_holders(info);
    if (info->waiters.count > 0) print_queue(info);
    if (info->transitions.count > 0) print_transitions(info);
}

int lock_view_run(struct cli *cli, struct arena *arena, const char *name)
{
    struct msg_info request = {.name = slice_of(name)};
    struct msg_info_reply info;
    int rv = raw_call(cli->client, OP_CODE_INFO, &request, arena, &info);
    if (rv != HF_OK) return cli_fail_status(cli, rv, "look at the lock");
    if (cli->json) {
        print_json(&info);
    } else {
        print_view(&info);
    }
    return CLI_OK;
}
