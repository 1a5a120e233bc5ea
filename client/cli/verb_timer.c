/* timer: set, cancel, list, poll, acknowledge and give back durable timers, and requeue dead ones.
 * One verb with a word for what to do, as `config` has; each checks its own words and options. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/act.h"
#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"
#include "client/include/holdfast_timer.h"

/* What was given. */
struct wish {
    const struct verb *verb; /* for its usage */
    const char *name;        /* KEY, GROUP or PREFIX; "" = not given */
    const char *group;       /* --group, or NULL */
    const char *state;       /* --state, or NULL */
    const char *payload;     /* --payload, or NULL */
    struct act act;          /* --reason, --operator */
    uint64_t delay_ms;       /* --delay */
    uint64_t version;        /* --version */
    uint64_t attempts_max;   /* --attempts */
    uint64_t token;          /* --token; 0 = not given */
    uint64_t count_max;      /* --max */
    uint64_t lease_ms;       /* --lease */
    uint64_t wait_ms;        /* --wait */
};

static int lacks(const struct wish *w, const char *what)
{
    char usage[ARGS_USAGE_BYTES];
    return cli_fail(CLI_USAGE, "`timer` did nothing yet: it lacks %s; use: %s", what,
                    args_usage(w->verb, usage));
}

/* ------------------------------------------------------------------ acts */

/* \param what  that could not be done with it: "set the timer". */
static int fail(const struct cli *cli, const struct wish *w, int status, const char *what)
{
    char whole[NAME_BYTES_MAX + 64];
    (void)snprintf(whole, sizeof whole, "%s \"%s\"", what, w->name);
    return cli_fail_status(cli, status, whole);
}

static int set(struct cli *cli, const struct wish *w)
{
    if (w->group == NULL) return lacks(w, "--group GROUP");
    int rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    const hf_timer timer = {
        .group = w->group,
        .delay_ms = w->delay_ms,
        .version = w->version,
        .attempts_max = (uint32_t)w->attempts_max,
        .payload = w->payload,
        .payload_bytes = w->payload != NULL ? strlen(w->payload) : 0,
    };
    hf_request request = {.id = 0};
    hf_timer_view view;
    int status = act_insist(hf_timer_set(cli->client, w->name, &timer, &view, &request), &request);
    return status == HF_OK ? CLI_OK : fail(cli, w, status, "set the timer");
}

static int cancel(struct cli *cli, const struct wish *w)
{
    int rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(hf_timer_cancel(cli->client, w->name, NULL, &request), &request);
    return status == HF_OK ? CLI_OK : fail(cli, w, status, "cancel the timer");
}

/* ack, nack. */
static int end_delivery(struct cli *cli, const struct wish *w, bool done)
{
    if (w->token == 0) return lacks(w, "--token T");
    int rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    hf_request request = {.id = 0};
    int status = done ? hf_timer_ack(cli->client, w->name, w->token, &request)
                      : hf_timer_nack(cli->client, w->name, w->token, w->delay_ms, &request);
    status = act_insist(status, &request);
    if (status == HF_OK) return CLI_OK;
    return fail(cli, w, status, done ? "acknowledge the timer" : "give back the timer");
}

static int requeue(struct cli *cli, const struct wish *w)
{
    int rv = act_check(w->verb, &w->act);
    if (rv == CLI_OK) rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    hf_request request = {.id = 0};
    int status = act_insist(
        hf_timer_requeue(cli->client, w->name, w->act.reason, w->act.operator_name, &request),
        &request);
    return status == HF_OK ? CLI_OK : fail(cli, w, status, "requeue the timer");
}

/* ------------------------------------------------------------------ poll */

static void print_delivery(struct table *t, const hf_timer_delivery *d)
{
    char late[24];
    table_text(t, slice_of(d->key));
    table_cell(t, "%" PRIu64, d->version);
    table_cell(t, "%" PRIu32 "/%" PRIu32, d->attempt, d->attempts_max);
    table_cell(t, "%" PRIu64, d->fencing_token);
    table_cell(t, "%s", text_of_ms(d->late_ms, late));
    table_text(t, slice_make(d->payload, d->payload_bytes));
}

static void print_delivery_json(struct json *j, const hf_timer_delivery *d)
{
    json_object(j, NULL);
    json_text(j, "key", slice_of(d->key));
    json_token(j, "version", d->version);
    json_number(j, "attempt", d->attempt);
    json_number(j, "attempts_max", d->attempts_max);
    json_token(j, "fencing_token", d->fencing_token);
    json_number(j, "late_ms", d->late_ms);
    json_text(j, "payload", slice_make(d->payload, d->payload_bytes));
    json_end(j);
}

static void print_batch(const struct cli *cli, const hf_timer_batch *batch)
{
    static const char *const headings[] = {"TIMER",  ">VERSION", ">ATTEMPT",
                                           ">TOKEN", ">LATE",    "PAYLOAD"};
    struct table t;
    struct json j = {.depth = 0};
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    list_begin(cli->json, &j, "timers");
    for (size_t i = 0; i < hf_timer_batch_count(batch); i++) {
        if (cli->json) {
            print_delivery_json(&j, hf_timer_batch_at(batch, i));
        } else {
            print_delivery(&t, hf_timer_batch_at(batch, i));
        }
    }
    list_close(cli->json, &t, &j, true);
}

static int poll(struct cli *cli, const struct wish *w)
{
    if (w->lease_ms == 0) return lacks(w, "--lease MS");
    int rv = cli_open(cli, 0, 0, NULL);
    if (rv != CLI_OK) return rv;
    hf_timer_batch *batch;
    int status = hf_timer_poll(cli->client, w->name, (uint32_t)w->count_max, w->lease_ms,
                               w->wait_ms, &batch);
    if (status != HF_OK) return fail(cli, w, status, "poll the timers of");
    print_batch(cli, batch);
    hf_timer_batch_free(batch);
    return CLI_OK;
}

/* ------------------------------------------------------------------ list, dead */

static const char *const states[] = {"",        "PENDING", "READY", "DELIVERED",
                                     "DELAYED", "DEAD",    "ACKED", "CANCELLED"};
_Static_assert(HF_ARRAY_COUNT(states) == TIMER_STATE_MAX + 1, "a word a state");

static void print_line(struct table *t, const void *line)
{
    const struct timer_line *l = line;
    char left[24];
    table_text(t, l->key);
    table_text(t, l->group);
    table_cell(t, "%s", states[l->state]);
    table_cell(t, "%" PRIu64, l->version);
    table_cell(t, "%" PRIu64 "/%" PRIu64, l->attempt, l->attempts_max);
    table_cell(t, "%" PRIu64, l->fencing_token);
    table_cell(t, "%s", l->left_ms > 0 ? text_of_ms(l->left_ms, left) : "-");
}

static void print_line_json(struct json *j, const void *line)
{
    const struct timer_line *l = line;
    json_object(j, NULL);
    json_text(j, "key", l->key);
    json_text(j, "group", l->group);
    json_text(j, "state", slice_of(states[l->state]));
    json_token(j, "version", l->version);
    json_number(j, "attempt", l->attempt);
    json_number(j, "attempts_max", l->attempts_max);
    json_token(j, "fencing_token", l->fencing_token);
    json_number(j, "left_ms", l->left_ms);
    json_number(j, "payload_bytes", l->payload_bytes);
    json_end(j);
}

static const char *const headings_of_list[] = {"TIMER",    "GROUP",  "STATE", ">VERSION",
                                               ">ATTEMPT", ">TOKEN", ">LEFT"};

static const struct listing timers_listing = {
    .op = OP_CODE_TIMER_LIST,
    .name = "timers",
    .headings = headings_of_list,
    .heading_count = (int)HF_ARRAY_COUNT(headings_of_list),
    .print = print_line,
    .print_json = print_line_json,
};

static int list(struct cli *cli, const struct wish *w, uint64_t state)
{
    struct arena arena = {.data = NULL};
    struct msg_timer_list request = {
        .prefix = slice_of(w->name),
        .group = w->group != NULL ? slice_of(w->group) : (struct slice){0},
        .state = state,
        .count_max = PAGE_ITEMS_MAX,
    };
    int rv = reading_open(cli, &arena);
    if (rv == CLI_OK) rv = listing_run(&timers_listing, cli, &request, &arena);
    arena_close(&arena);
    return rv;
}

static int list_state(struct cli *cli, const struct wish *w)
{
    uint64_t state = TIMER_ABSENT;
    if (w->state == NULL) return list(cli, w, state);
    for (state = TIMER_PENDING; state <= TIMER_STATE_MAX; state++) {
        if (strcmp(w->state, states[state]) == 0) return list(cli, w, state);
    }
    return cli_fail(CLI_USAGE,
                    "\"%s\" is no state of a timer; they are PENDING, READY, DELIVERED, DELAYED, "
                    "DEAD, ACKED and CANCELLED",
                    w->state);
}

/* ------------------------------------------------------------------ the verb */

static int dispatch(struct cli *cli, const struct wish *w, const char *what)
{
    if (strcmp(what, "list") == 0) return list_state(cli, w);
    if (strcmp(what, "dead") == 0) return list(cli, w, TIMER_DEAD);
    if (w->name[0] == '\0') return lacks(w, "KEY or GROUP");
    if (strcmp(what, "set") == 0) return set(cli, w);
    if (strcmp(what, "cancel") == 0) return cancel(cli, w);
    if (strcmp(what, "poll") == 0) return poll(cli, w);
    if (strcmp(what, "ack") == 0) return end_delivery(cli, w, true);
    if (strcmp(what, "nack") == 0) return end_delivery(cli, w, false);
    if (strcmp(what, "requeue") == 0) return requeue(cli, w);
    return lacks(w, "what to do with it");
}

static int run(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct wish w = {.verb = verb, .name = "", .count_max = 10};
    const struct arg_option options[] = {
        {.name = "--group", .text = &w.group},
        {.name = "--state", .text = &w.state},
        {.name = "--payload", .text = &w.payload},
        {.name = "--reason", .text = &w.act.reason},
        {.name = "--operator", .text = &w.act.operator_name},
        {.name = "--delay", .number = &w.delay_ms, .is_ms = true, .max = TIMER_DELAY_MS_MAX},
        {.name = "--version", .number = &w.version, .max = UINT64_MAX},
        {.name = "--attempts", .number = &w.attempts_max, .min = 1, .max = TIMER_ATTEMPTS_MAX},
        {.name = "--token", .number = &w.token, .min = 1, .max = TOKEN_END - 1},
        {.name = "--max", .number = &w.count_max, .min = 1, .max = TIMER_POLL_MAX},
        {.name = "--lease",
         .number = &w.lease_ms,
         .is_ms = true,
         .min = LEASE_MS_MIN,
         .max = LEASE_MS_MAX},
        {.name = "--wait", .number = &w.wait_ms, .is_ms = true, .max = WAIT_MS_MAX},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 2, false);
    if (rv != CLI_OK) return rv;
    if (args.word_count > 1) w.name = args.words[1];
    if (args.word_count > 1) rv = name_check(verb, w.name, 0);
    return rv == CLI_OK ? dispatch(cli, &w, args.words[0]) : rv;
}

const struct verb verb_timer = {
    .name = "timer",
    .synopsis = "set KEY --group G [--delay MS] [--version N] [--attempts N] [--payload TEXT]\n"
                "             | cancel KEY | poll G --lease MS [--max N] [--wait MS]\n"
                "             | ack KEY --token T | nack KEY --token T [--delay MS]\n"
                "             | list [PREFIX] [--group G] [--state S] | dead [PREFIX]\n"
                "             | requeue KEY --reason TEXT --operator NAME",
    .summary = "durable timers: fired once or cancelled, delivered until acknowledged",
    .help = "  --group G         whose consumers get it\n"
            "  --delay MS        fires so much later; of `nack`: comes again so much later\n"
            "  --version N       a higher one replaces a timer that is pending; 0 by default\n"
            "  --attempts N      deliveries before it is dead; 10 by default\n"
            "  --payload TEXT    handed to the consumer, at most 4,096 bytes\n"
            "  --lease MS        of a delivery: not acknowledged by then, it comes again\n"
            "  --max N           deliveries of one poll, 1 to 200; 10 by default\n"
            "  --wait MS         poll: wait so long while nothing is ready\n"
            "  --token T         of the delivery: `poll` shows it\n"
            "  --state S         PENDING, READY, DELIVERED, DELAYED, DEAD, ACKED or CANCELLED\n"
            "`dead` lists those that nobody acknowledged in all their attempts; `requeue` gives\n"
            "such a one all of them again, and is kept in the audit. Exit code 65: it has fired,\n"
            "or was cancelled, or the token is an older delivery's; 66: there is none. With\n"
            "--json: {timers: [{key, version, attempt, attempts_max, fencing_token, ...}]}.\n",
    .run = run,
};
