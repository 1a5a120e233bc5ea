/* register, discover: services and where they are. An instance holds the name SERVICE shared, with
 * its address beside the grant, while its command runs; who looks for one lists the holders. An
 * instance that dies is listed until its lease is over: an address is a hint, to be tried. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/hold.h"
#include "client/cli/output.h"
#include "client/cli/words.h"
#include "client/include/holdfast_watch.h"

static int run_register(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct hold h = {.what = "service", .mode = HF_SHARED, .ttl_ms = 10000};
    const struct arg_option options[] = {
        {.name = "--address", .text = &h.meta},
        {.name = "--ttl", .number = &h.ttl_ms, .is_ms = true, .min = TTL_MS_MIN, .max = TTL_MS_MAX},
        {.name = "--wait", .number = &h.wait_ms, .is_ms = true, .max = WAIT_MS_MAX},
        {.name = "--on-revoke", .text = &h.on_revoke},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = hold_take_names(verb, &args, 1, &h);
    if (rv != CLI_OK) return rv;
    if (h.meta == NULL)
        return cli_fail(CLI_USAGE, "`register` was not told where the service is; say --address");
    rv = hold_check_meta(verb, "--address", h.meta);
    return rv == CLI_OK ? hold_run(cli, &args, &h) : rv;
}

const struct verb verb_register = {
    .name = "register",
    .synopsis = "SERVICE --address A [--ttl MS] [--wait MS] [--on-revoke WHAT] -- COMMAND ...",
    .summary = "run COMMAND while it can be discovered under SERVICE",
    .help =
        "  --address A  where it is, 1 to 1,024 bytes: what `discover` shows\n"
        "  --ttl MS     the lease, 500 to 3,600,000, default 10,000; it is renewed while COMMAND\n"
        "               runs, and is how long it stays listed if this machine dies\n"
        "  --wait MS    wait so long while somebody holds SERVICE exclusively (`lock SERVICE`),\n"
        "               which keeps new instances out; default 0: try once\n"
        "  --on-revoke ignore | term   as of `holdfast help lock`\n"
        "COMMAND runs as under `lock --shared`: any number of instances at once, each with a\n"
        "token of its own in HOLDFAST_TOKEN; exit codes and signals are as there.\n",
    .run = run_register,
};

/* ------------------------------------------------------------------ discover */

struct found {
    const struct cli *cli;
    const char *service;
    uint64_t fingerprint; /* of what was printed last; 0 = nothing yet */
};

static void print_json(const char *service, const hf_lock_view *view)
{
    struct json j = {.depth = 0};
    json_object(&j, NULL);
    json_text(&j, "service", slice_of(service));
    json_number(&j, "count", view->holder_count);
    json_array(&j, "instances");
    for (uint32_t i = 0; i < view->holders_shown; i++) {
        const hf_holder_view *h = &view->holders[i];
        json_object(&j, NULL);
        json_text(&j, "address", slice_make(h->meta, h->meta_bytes));
        json_token(&j, "fencing_token", h->who.fencing_token);
        json_token(&j, "session", h->who.session);
        json_number(&j, "since_ms", h->since_ms);
        json_number(&j, "age_ms", view->now_ms > h->since_ms ? view->now_ms - h->since_ms : 0);
        json_number(&j, "lease_left_ms", h->lease_left_ms);
        json_text(&j, "client_name", slice_of(h->client_name));
        json_text(&j, "peer", slice_of(h->peer));
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
}

static void print_table(const hf_lock_view *view)
{
    static const char *const headings[] = {"ADDRESS", ">SINCE", ">LEFT",
                                           ">TOKEN",  "CLIENT", "PEER"};
    struct table t;
    char text[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    for (uint32_t i = 0; i < view->holders_shown; i++) {
        const hf_holder_view *h = &view->holders[i];
        table_text(&t, slice_make(h->meta, h->meta_bytes));
        table_cell(&t, "%s",
                   text_of_ms(view->now_ms > h->since_ms ? view->now_ms - h->since_ms : 0, text));
        table_cell(&t, "%s", text_of_ms(h->lease_left_ms, text));
        table_cell(&t, "%" PRIu64, h->who.fencing_token);
        table_text(&t, slice_of(h->client_name));
        table_text(&t, slice_of(h->peer));
    }
    table_close(&t);
}

/* Whoever is there, in one number: the same instances give the same. */
static uint64_t fingerprint_of(const hf_lock_view *view)
{
    uint64_t sum = 1 + view->holder_count;
    for (uint32_t i = 0; i < view->holders_shown; i++) {
        sum = sum * UINT64_C(1099511628211) ^ view->holders[i].who.fencing_token;
    }
    return sum;
}

/* An exclusive holder is no instance: it keeps them out. */
static void print_found(const hf_lock_view *view, void *data)
{
    struct found *found = data;
    hf_lock_view shared = *view;
    if (view->holders_shown > 0 && view->holders[0].who.mode != HF_SHARED)
        shared.holder_count = shared.holders_shown = 0;
    uint64_t fingerprint = fingerprint_of(&shared);
    if (fingerprint == found->fingerprint) return;
    found->fingerprint = fingerprint;
    if (found->cli->json) {
        print_json(found->service, &shared);
    } else {
        print_table(&shared);
    }
    if (shared.holders_shown < shared.holder_count)
        cli_warn("only the first %" PRIu32 " of %" PRIu32 " instances of \"%s\" are shown",
                 shared.holders_shown, shared.holder_count, found->service);
}

/* That something happened is enough: what is there now is looked up. */
static int note_event(const hf_event *event, void *data)
{
    (void)event;
    (void)data;
    return 0;
}

/* The place first, then the list, then what comes: nothing falls between. A mark, which comes every
 * few seconds, is a reason to look again, too: instances that come, or end by
 * themselves, are told only where an administrator has switched that on. */
static int follow(struct cli *cli, struct found *found)
{
    hf_watch watch = {
        .prefix = found->service,
        .kinds = HF_EVENT_BIT(HF_EVENT_GRANTED) | HF_EVENT_BIT(HF_EVENT_RELEASED) |
                 HF_EVENT_BIT(HF_EVENT_LOST) | HF_EVENT_BIT(HF_EVENT_FORCED),
    };
    bool was_told = false;
    for (;;) {
        int status = hf_watch_poll(cli->client, &watch, note_event, NULL);
        if (status == HF_OK || status == HF_EGAP)
            status = hf_lock_look(cli->client, found->service, print_found, found);
        if (status == HF_OK) {
            was_told = false;
            watch.wait_ms = WATCH_WAIT_MS_MAX; /* the first comes at once, or no server answers */
            if (fflush(stdout) != 0) return CLI_OK; /* main() tells of it */
            continue;
        }
        if (found->fingerprint == 0 || !cli_is_weather(status))
            return cli_fail_status(cli, status, "follow the instances");
        if (!was_told)
            cli_warn("no server answers (%s); what was shown last may be past",
                     hf_status_text(status));
        was_told = true;
    }
}

static int run_discover(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    bool watch = false;
    const struct arg_option options[] = {{.name = "--watch", .flag = &watch}};
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = cli_open(cli, 0, READING_TIMEOUT_MS, NULL);
    if (rv != CLI_OK) return rv;
    struct found found = {.cli = cli, .service = args.words[0]};
    if (watch) return follow(cli, &found);
    int status = hf_lock_look(cli->client, found.service, print_found, &found);
    return status == HF_OK ? CLI_OK : cli_fail_status(cli, status, "list the instances");
}

const struct verb verb_discover = {
    .name = "discover",
    .synopsis = "SERVICE [--watch]",
    .summary = "where the instances of SERVICE are that `register` runs",
    .help =
        "  --watch   again whenever it changes, until it is ended: who dies at once, who comes\n"
        "            or leaves within five seconds, or at once where `events on` tells of it\n"
        "Up to 1,000 of them. One that died is listed until its lease is over:\n"
        "take an address for a hint, try it, and go on to the next. With --json: {service,\n"
        "  count, instances: [{address, fencing_token, session, since_ms, age_ms,\n"
        "  lease_left_ms, client_name, peer}]}. A service without instances is an empty list.\n",
    .run = run_discover,
};
