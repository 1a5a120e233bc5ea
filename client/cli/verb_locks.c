/* locks: every lock under a prefix, one line each; or one lock with its holders and its queue. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"

static void print_lock_json(struct json *j, const void *line)
{
    const struct lock_line *l = line;
    json_object(j, NULL);
    json_text(j, "name", l->name);
    json_text(j, "mode", slice_of(word_of_mode(l->mode)));
    json_number(j, "holders", l->holder_count);
    json_number(j, "queue_length", l->queue_length);
    json_token(j, "fencing_token", l->fencing_token);
    json_number(j, "since_ms", l->since_ms);
    json_number(j, "lease_left_ms", l->lease_left_ms);
    json_number(j, "delay_left_ms", l->delay_left_ms);
    json_bool(j, "frozen", l->frozen != 0);
    json_text(j, "client_name", l->client_name);
    json_text(j, "peer", l->peer);
    json_end(j);
}

static void print_lock(struct table *t, const void *line)
{
    const struct lock_line *l = line;
    char left[24];
    const char *state = word_of_mode(l->mode);
    if (l->holder_count == 0) state = l->delay_left_ms > 0 ? "delayed" : "free";
    table_text(t, l->name);
    table_cell(t, "%s%s", state, l->frozen != 0 ? ", frozen" : "");
    table_cell(t, "%" PRIu64, l->holder_count);
    table_cell(t, "%" PRIu64, l->queue_length);
    table_cell(t, "%" PRIu64, l->fencing_token);
    table_cell(t, "%s",
               text_of_ms(l->holder_count > 0 ? l->lease_left_ms : l->delay_left_ms, left));
    table_text(t, l->client_name);
    table_text(t, l->peer);
}

static const char *const lock_headings[] = {"LOCK",   "MODE",  ">HOLDERS", ">QUEUE",
                                            ">TOKEN", ">LEFT", "CLIENT",   "PEER"};

static const struct listing locks_listing = {
    .op = OP_CODE_LIST,
    .name = "locks",
    .headings = lock_headings,
    .heading_count = (int)HF_ARRAY_COUNT(lock_headings),
    .print = print_lock,
    .print_json = print_lock_json,
};

/* ------------------------------------------------------------------ one lock */

static void print_holder_json(struct json *j, const struct holder_info *h)
{
    json_object(j, NULL);
    json_token(j, "fencing_token", h->fencing_token);
    json_token(j, "session", h->session);
    json_text(j, "mode", slice_of(word_of_mode(h->mode)));
    json_number(j, "count", h->count);
    json_number(j, "since_ms", h->since_ms);
    json_number(j, "lease_left_ms", h->lease_left_ms);
    json_number(j, "hold_left_ms", h->hold_left_ms);
    json_text(j, "client_name", h->client_name);
    json_text(j, "peer", h->peer);
    json_text(j, "meta", h->meta);
    json_end(j);
}

static void print_waiter_json(struct json *j, const struct waiter_info *w)
{
    json_object(j, NULL);
    json_token(j, "session", w->session);
    json_text(j, "mode", slice_of(word_of_mode(w->mode)));
    json_number(j, "since_ms", w->since_ms);
    json_number(j, "wait_left_ms", w->wait_left_ms);
    json_text(j, "client_name", w->client_name);
    json_text(j, "peer", w->peer);
    json_end(j);
}

static void print_info_json(const struct msg_info_reply *info)
{
    struct json j = {.depth = 0};
    const struct holder_info *holders = info->holders.items;
    const struct waiter_info *waiters = info->waiters.items;
    json_object(&j, NULL);
    json_text(&j, "name", info->name);
    json_number(&j, "holder_count", info->holder_count);
    json_array(&j, "holders");
    for (uint32_t i = 0; i < info->holders.count; i++) print_holder_json(&j, &holders[i]);
    json_end(&j);
    json_number(&j, "queue_length", info->queue_length);
    json_array(&j, "queue");
    for (uint32_t i = 0; i < info->waiters.count; i++) print_waiter_json(&j, &waiters[i]);
    json_end(&j);
    json_number(&j, "delay_left_ms", info->delay_left_ms);
    json_bool(&j, "frozen", info->frozen != 0);
    json_text(&j, "last_loss", slice_of(word_of_reason(info->last_reason)));
    json_number(&j, "last_loss_at_ms", info->last_at_ms);
    json_end(&j);
}

static void print_holders(const struct msg_info_reply *info)
{
    static const char *const headings[] = {"HOLDER", "MODE", ">TOKEN", ">LEFT", "PEER"};
    const struct holder_info *holders = info->holders.items;
    struct table t;
    char left[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    for (uint32_t i = 0; i < info->holders.count; i++) {
        table_text(&t, holders[i].client_name);
        table_cell(&t, "%s", word_of_mode(holders[i].mode));
        table_cell(&t, "%" PRIu64, holders[i].fencing_token);
        table_cell(&t, "%s", text_of_ms(holders[i].lease_left_ms, left));
        table_text(&t, holders[i].peer);
    }
    table_close(&t);
}

static void print_queue(const struct msg_info_reply *info)
{
    static const char *const headings[] = {">PLACE", "WAITER", "MODE", ">WAITS", "PEER"};
    const struct waiter_info *waiters = info->waiters.items;
    struct table t;
    char left[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    for (uint32_t i = 0; i < info->waiters.count; i++) {
        table_cell(&t, "%" PRIu32, i + 1);
        table_text(&t, waiters[i].client_name);
        table_cell(&t, "%s", word_of_mode(waiters[i].mode));
        table_cell(&t, "%s", text_of_ms(waiters[i].wait_left_ms, left));
        table_text(&t, waiters[i].peer);
    }
    table_close(&t);
}

static void print_info(const struct msg_info_reply *info)
{
    char left[24];
    printf("%" PRIu64 " holding, %" PRIu64 " waiting\n", info->holder_count, info->queue_length);
    if (info->frozen != 0) printf("frozen: nothing is granted; see `holdfast frozen`\n");
    if (info->delay_left_ms > 0) {
        printf("lock-delay: closed for %s more\n", text_of_ms(info->delay_left_ms, left));
    }
    if (info->last_reason != 0) printf("last loss: %s\n", word_of_reason(info->last_reason));
    if (info->holders.count > 0) print_holders(info);
    if (info->holders.count < info->holder_count) printf("... only the first are shown\n");
    if (info->waiters.count > 0) print_queue(info);
    if (info->waiters.count < info->queue_length) printf("... only the first are shown\n");
}

static int run_info(struct cli *cli, struct arena *arena, const char *name)
{
    struct msg_info request = {.name = slice_of(name)};
    struct msg_info_reply info;
    int rv = raw_call(cli->client, OP_CODE_INFO, &request, arena, &info);
    if (rv == HF_ENOTFOUND) { /* free and forgotten is free, too */
        info = (struct msg_info_reply){.name = request.name};
        rv = HF_OK;
    }
    if (rv != HF_OK) return cli_fail_status(cli, rv, "look at the lock");
    if (cli->json) {
        print_info_json(&info);
    } else {
        print_info(&info);
    }
    return CLI_OK;
}

static int run_locks(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    bool queue = false;
    const struct arg_option options[] = {{.name = "--queue", .flag = &queue}};
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, queue ? 1 : 0, 1, false);
    const char *name = args.word_count > 0 ? args.words[0] : "";
    if (rv == CLI_OK) rv = name_check(verb, name, queue ? 1 : 0);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;
    struct msg_list list = {.prefix = slice_of(name), .count_max = PAGE_ITEMS_MAX};
    rv = queue ? run_info(cli, &arena, name) : listing_run(&locks_listing, cli, &list, &arena);
    arena_close(&arena);
    return rv;
}

const struct verb verb_locks = {
    .name = "locks",
    .synopsis = "[PREFIX] | NAME --queue",
    .summary = "locks that are held, delayed, waited for or lately lost",
    .help = "  PREFIX    only those whose name begins with it; without it all\n"
            "  --queue   one lock: its holders and who waits, in the order of service\n"
            "HOLDER and CLIENT are names that clients gave themselves; LEFT is a hint.\n"
            "With --json: {locks: [{name, mode, holders, queue_length, fencing_token, since_ms,\n"
            "  lease_left_ms, delay_left_ms, frozen, client_name, peer}]}, or with --queue {name,\n"
            "  holder_count, holders: [...], queue_length, queue: [...], delay_left_ms,\n"
            "  last_loss, last_loss_at_ms}. A lock that nobody ever used is a free one.\n",
    .run = run_locks,
};
