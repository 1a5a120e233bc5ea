/* elect: leader election as a lock: whoever holds NAME leads, the fencing token is the term, and
 * what the others need to know of the leader (its address, say) stands beside the grant. Happy
 * path: campaign, run the command while leading, resign when it ends. Observers poll: a change is
 * seen within --every, and a term that was shorter may not be seen at all. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "client/cli/hold.h"
#include "client/cli/interrupt.h"
#include "client/cli/output.h"
#include "client/cli/words.h"

enum { EVERY_MS_MIN = 100, EVERY_MS_MAX = 60000, EVERY_MS = 1000, NAP_MS = 100 };

/* What was asked for. */
struct asked {
    bool observe, show;
    uint64_t every_ms;
};

/* ------------------------------------------------------------------ who leads */

struct leader {
    uint64_t term;                 /* 0 = nobody leads */
    uint64_t since_ms;             /* cluster time */
    uint64_t age_ms;               /* how long ago that was */
    uint64_t lease_left_ms;        /* a hint */
    uint8_t value[META_BYTES_MAX]; /* the leader's */
    size_t value_bytes;            /* of them */
    char client_name[NAME_BYTES_MAX + 1];
    char peer[ADDRESS_BYTES_MAX + 1];
};

static void note_leader(const hf_lock_view *view, void *data)
{
    struct leader *leader = data;
    *leader = (struct leader){.term = 0};
    if (view->holders_shown == 0 || view->holders[0].who.mode != HF_EXCLUSIVE) return;
    const hf_holder_view *h = &view->holders[0];
    leader->term = h->who.fencing_token;
    leader->since_ms = h->since_ms;
    leader->age_ms = view->now_ms > h->since_ms ? view->now_ms - h->since_ms : 0;
    leader->lease_left_ms = h->lease_left_ms;
    HF_ASSERT(h->meta_bytes <= sizeof leader->value); /* the decoder's promise */
    leader->value_bytes = h->meta_bytes;
    if (h->meta_bytes > 0) memcpy(leader->value, h->meta, h->meta_bytes);
    (void)snprintf(leader->client_name, sizeof leader->client_name, "%s", h->client_name);
    (void)snprintf(leader->peer, sizeof leader->peer, "%s", h->peer);
}

static void print_json(struct json *j, const char *name, const struct leader *l)
{
    json_object(j, NULL);
    json_text(j, "name", slice_of(name));
    if (l->term == 0) {
        json_null(j, "term");
    } else {
        json_token(j, "term", l->term);
        json_text(j, "value", slice_make(l->value, l->value_bytes));
        json_number(j, "since_ms", l->since_ms);
        json_number(j, "age_ms", l->age_ms);
        json_number(j, "lease_left_ms", l->lease_left_ms);
        json_text(j, "client_name", slice_of(l->client_name));
        json_text(j, "peer", slice_of(l->peer));
    }
    json_end(j);
}

/* ------------------------------------------------------------------ --show */

static void print_table(const struct leader *l)
{
    static const char *const headings[] = {">TERM", ">SINCE", ">LEFT", "VALUE", "CLIENT", "PEER"};
    struct table t;
    char text[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    table_cell(&t, "%" PRIu64, l->term);
    table_cell(&t, "%s", text_of_ms(l->age_ms, text));
    table_cell(&t, "%s", text_of_ms(l->lease_left_ms, text));
    table_text(&t, slice_make(l->value, l->value_bytes));
    table_text(&t, slice_of(l->client_name));
    table_text(&t, slice_of(l->peer));
    table_close(&t);
}

static int show(struct cli *cli, const char *name)
{
    struct leader leader;
    int rv = cli_open(cli, 0, READING_TIMEOUT_MS, NULL);
    if (rv != CLI_OK) return rv;
    int status = hf_lock_look(cli->client, name, note_leader, &leader);
    if (status != HF_OK) return cli_fail_status(cli, status, "ask who leads");
    if (leader.term == 0)
        return cli_fail(CLI_ABSENT,
                        "nobody leads \"%s\" just now; a candidate runs `holdfast elect`", name);
    struct json j = {.depth = 0};
    if (cli->json) {
        print_json(&j, name, &leader);
    } else {
        print_table(&leader);
    }
    return CLI_OK;
}

/* ------------------------------------------------------------------ --observe */

/* One line a change, out at once: whoever reads it waits for it. */
static void print_change(const struct cli *cli, const char *name, const struct leader *l)
{
    struct json j = {.depth = 0};
    char text[24];
    if (cli->json) {
        print_json(&j, name, l);
    } else if (l->term == 0) {
        printf("nobody leads\n");
    } else {
        printf("term %" PRIu64 ", for %s: ", l->term, text_of_ms(l->age_ms, text));
        text_print(slice_make(l->value, l->value_bytes));
        printf("\n");
    }
    (void)fflush(stdout);
}

static void nap(uint64_t ms)
{
    for (uint64_t slept = 0; slept < ms && interrupt_signal() == 0; slept += NAP_MS)
        (void)poll(NULL, 0, NAP_MS);
}

/* Until a signal comes, or the servers refuse for good. That nobody answers is told once. */
static int observe(struct cli *cli, const char *name, uint64_t every_ms)
{
    struct leader leader;
    uint64_t term = UINT64_MAX; /* last told */
    bool silent = false;
    int rv = cli_open(cli, 0, READING_TIMEOUT_MS, NULL);
    if (rv != CLI_OK) return rv;
    interrupt_begin(cli->client);
    while (interrupt_signal() == 0) {
        int status = hf_lock_look(cli->client, name, note_leader, &leader);
        if (interrupt_signal() != 0) break;
        if (status == HF_EINVAL || status == HF_EBADREQUEST || status == HF_EVERSION) {
            rv = cli_fail_status(cli, status, "ask who leads");
            break;
        }
        if (status != HF_OK && !silent)
            cli_warn("no server says who leads \"%s\" (%s); asking on", name,
                     hf_status_name(status));
        silent = status != HF_OK;
        if (status == HF_OK && leader.term != term) {
            term = leader.term;
            print_change(cli, name, &leader);
        }
        nap(every_ms);
    }
    int interrupted = interrupt_end();
    return interrupted != 0 ? 128 + interrupted : rv;
}

/* ------------------------------------------------------------------ the verb */

/* --observe and --show want one name and nothing to run. */
static int check_watching(const struct verb *verb, const struct asked *a, const struct args *args,
                          const struct hold *h)
{
    if (a->observe && a->show)
        return cli_fail(CLI_USAGE, "--show looks once, --observe goes on; leave one of them away");
    if (h->meta != NULL || !h->patient || h->on_revoke != NULL)
        return cli_fail(CLI_USAGE,
                        "--value, --wait, --on-revoke are a candidate's; leave them away with %s",
                        a->observe ? "--observe" : "--show");
    int rv = args_expect(verb, args, 1, 1, false);
    return rv == CLI_OK ? name_check(verb, args->words[0], 1) : rv;
}

static int campaign(struct cli *cli, const struct verb *verb, const struct args *args,
                    struct hold *h)
{
    int rv = hold_take_names(verb, args, 1, h);
    if (rv != CLI_OK) return rv;
    if (h->meta == NULL)
        return cli_fail(CLI_USAGE, "`elect` was not told what the leader is known by; say --value "
                                   "with its address or name");
    rv = hold_check_meta(verb, "--value", h->meta);
    return rv == CLI_OK ? hold_run(cli, args, h) : rv;
}

static int run_elect(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct asked a = {.every_ms = EVERY_MS};
    struct hold h = {.what = "leadership of", .ttl_ms = 10000, .wait_ms = UINT64_MAX};
    const struct arg_option options[] = {
        {.name = "--value", .text = &h.meta},
        {.name = "--ttl", .number = &h.ttl_ms, .is_ms = true, .min = TTL_MS_MIN, .max = TTL_MS_MAX},
        {.name = "--wait", .number = &h.wait_ms, .is_ms = true, .max = WAIT_MS_MAX},
        {.name = "--on-revoke", .text = &h.on_revoke},
        {.name = "--observe", .flag = &a.observe},
        {.name = "--show", .flag = &a.show},
        {.name = "--every",
         .number = &a.every_ms,
         .is_ms = true,
         .min = EVERY_MS_MIN,
         .max = EVERY_MS_MAX},
    };
    struct args args;
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    h.patient = h.wait_ms == UINT64_MAX; /* not given */
    if (!a.observe && !a.show) return campaign(cli, verb, &args, &h);
    rv = check_watching(verb, &a, &args, &h);
    if (rv != CLI_OK) return rv;
    return a.show ? show(cli, args.words[0]) : observe(cli, args.words[0], a.every_ms);
}

const struct verb verb_elect = {
    .name = "elect",
    .synopsis = "NAME --value V [--wait MS] [--ttl MS] [--on-revoke WHAT] -- COMMAND ...\n"
                "             | NAME --observe [--every MS] | NAME --show",
    .summary = "run COMMAND while leading NAME; or see who leads it",
    .help =
        "  --value V    what the leader is known by, 1 to 1,024 bytes: its address, say\n"
        "  --wait MS    give up after so long, with 75; without it campaign until elected\n"
        "  --ttl MS     the lease, 500 to 3,600,000, default 10,000: how long the others wait\n"
        "               for the next leader if this machine dies\n"
        "  --observe    one line now and at each change of the leader, until interrupted\n"
        "  --every MS   --observe asks so often, 100 to 60,000, default 1,000: a change is seen\n"
        "               that late, and who led for less than that may not be seen\n"
        "  --show       who leads; exit code 66 if nobody does\n"
        "  --on-revoke ignore | term   as of `holdfast help lock`\n"
        "The leader holds the lock NAME, and COMMAND runs as under `lock`: the term is the token,\n"
        "in HOLDFAST_TOKEN, and rises with every leader; COMMAND is stopped before the lease can\n"
        "end. To resign, let COMMAND end, or interrupt it. Send the term along with every write:\n"
        "a leader that was replaced may not know it yet.\n"
        "With --json, --show prints {name, term, value, since_ms, age_ms, lease_left_ms,\n"
        "  client_name, peer}, and --observe one such line a change; term is null and the rest is\n"
        "  left out while nobody leads.\n",
    .run = run_elect,
};
