/* records: every record under a prefix, one line each, by state and age. record: all that is known
 * of one key. What a caller stored (its response) is shown by `record`, never by the list. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/record_json.h"
#include "client/cli/secrets_file.h"
#include "client/cli/words.h"

static const char *state_shown(const struct record_line *r)
{
    return r->lapsed != 0 ? "LAPSED" : word_of_state(r->state);
}

/* A process lists once. What the derived keys need beyond a line; step NULL = there are none. */
static struct {
    const struct cli *cli;
    const char *step;
} deriving;

/* A line without its key says nothing of it: that it cannot be derived was told then. */
static const char *derived_of(const struct record_line *r, char out[HF_DERIVED_BYTES])
{
    int rv = secrets_derive_for(deriving.cli, r->secret_id, r->key, deriving.step, out);
    if (rv != CLI_OK) out[0] = '\0';
    return out;
}

static void print_object(struct json *j, const void *line)
{
    char derived[HF_DERIVED_BYTES];
    json_object(j, NULL);
    record_line_json(j, line);
    if (deriving.step != NULL) json_text(j, "derived_key", slice_of(derived_of(line, derived)));
    json_end(j);
}

static void print_line(struct table *t, const void *line)
{
    const struct record_line *r = line;
    char left[24];
    char derived[HF_DERIVED_BYTES];
    table_text(t, r->key);
    table_cell(t, "%s", state_shown(r));
    table_cell(t, "%" PRIu64, r->attempt);
    table_cell(t, "%" PRIu64, r->code);
    table_cell(t, "%" PRIu64, r->fencing_token);
    table_cell(t, "%s", r->left_ms > 0 ? text_of_ms(r->left_ms, left) : "-");
    table_text(t, r->checkpoint);
    table_text(t, r->client_name);
    if (deriving.step != NULL) table_text(t, slice_of(derived_of(r, derived)));
}

/* The last one with --derive alone. */
static const char *const record_headings[] = {"RECORD",     "STATE",  ">ATTEMPT",
                                              ">CODE",      ">TOKEN", ">LEFT",
                                              "CHECKPOINT", "CLIENT", "DERIVED KEY"};

static const struct listing records_listing = {
    .op = OP_CODE_RECORD_LIST,
    .name = "records",
    .headings = record_headings,
    .heading_count = (int)HF_ARRAY_COUNT(record_headings) - 1,
    .print = print_line,
    .print_json = print_object,
};

static int run_records(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    const char *state = NULL;
    const char *secrets = NULL;
    const char *step = NULL;
    struct msg_record_list request = {.count_max = PAGE_ITEMS_MAX};
    const struct arg_option options[] = {
        {.name = "--state", .text = &state},
        {.name = "--older-than",
         .number = &request.older_than_ms,
         .is_ms = true,
         .max = TIME_MS_MAX},
        {.name = "--derive", .text = &step},
        {.name = "--secrets", .text = &secrets},
    };
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 1, false);
    const char *prefix = args.word_count > 0 ? args.words[0] : "";
    if (rv == CLI_OK) rv = name_check(verb, prefix, 0);
    if (rv == CLI_OK && step != NULL) rv = name_check(verb, step, 1);
    if (rv == CLI_OK) rv = state_check(state, &request.state);
    if (rv != CLI_OK) return rv;
    request.prefix = slice_of(prefix);
    if (arena_init(&arena, RAW_ARENA_BYTES) != HF_OK)
        return cli_fail(CLI_SYSTEM, "there is no memory for an answer; free some on this machine");
    rv = step != NULL ? secrets_open(cli, secrets, 0, READING_TIMEOUT_MS, NULL)
                      : cli_open(cli, 0, READING_TIMEOUT_MS, NULL);
    struct listing listing = records_listing;
    deriving.cli = cli;
    deriving.step = step;
    if (step != NULL) listing.heading_count += 1;
    if (rv == CLI_OK) rv = listing_run(&listing, cli, &request, &arena);
    arena_close(&arena);
    return rv;
}

const struct verb verb_records = {
    .name = "records",
    .synopsis = "[PREFIX] [--state STATE] [--older-than MS] [--derive STEP [--secrets FILE]]",
    .summary = "idempotency records, with their state",
    .help = "  PREFIX            only keys that begin with it; without it all\n"
            "  --state STATE     RUNNING, DONE, FAILED, RETRYABLE, UNKNOWN or TOMBSTONE\n"
            "  --older-than MS   only those whose state has not changed for so long\n"
            "  --derive STEP     show the key under which STEP was sent to a provider (see\n"
            "                    `derive`); \"-\" where the secret is not given here\n"
            "  --secrets FILE    where the secrets are; else $HOLDFAST_SECRETS\n"
            "`records --state UNKNOWN` lists what waits for `resolve`. LAPSED: RUNNING, but its\n"
            "lease has ended; the next caller takes over. With --json: {records: [{key, state,\n"
            "  lapsed, fencing_token, attempt, code, since_ms, left_ms, open_mark, checkpoint,\n"
            "  client_name, peer, outcome, secret_id, derived_key}]}.\n",
    .run = run_records,
};

/* ------------------------------------------------------------------ one record */

static void print_record(const char *key, const struct msg_record_reply *r)
{
    static const char *const headings[] = {"FIELD", "VALUE"};
    struct record_line line = record_line_of(r);
    const struct late_item *late = r->late.items;
    struct table t;
    char text[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    field_text(&t, "key", r->key);
    field_text(&t, "state", slice_of(state_shown(&line)));
    if (r->state == RECORD_TOMBSTONE)
        field_text(&t, "outcome", slice_of(word_of_state(r->outcome)));
    field_number(&t, "attempt", r->attempt);
    field_number(&t, "token", r->fencing_token);
    field_number(&t, "code", r->code);
    if (r->done_at_ms > 0)
        field_text(&t, "done at", slice_of(text_of_wall_ms(r->done_at_ms, text)));
    if (r->left_ms > 0) field_text(&t, "left", slice_of(text_of_ms(r->left_ms, text)));
    field_text(&t, "takeover", slice_of(word_of_takeover(r->takeover)));
    field_text(&t, "retained for", slice_of(text_of_ms(r->retain_ms, text)));
    field_text(&t, "checkpoint", r->checkpoint);
    if (r->external != 0) field_text(&t, "open mark", slice_of(word_of_mark(r->external)));
    if (r->parked_count > 0) field_number(&t, "callers waiting", r->parked_count);
    field_text(&t, "client", r->client_name);
    field_text(&t, "peer", r->peer);
    field_text(&t, "headers", r->headers);
    field_text(&t, "body", r->body);
    if (r->body_kind != BODY_WHOLE) field_text(&t, "body is", slice_of(word_of_body(r->body_kind)));
    field_text(&t, "last act", slice_of(word_of_act(r->act)));
    if (r->act != 0) field_text(&t, "act at", slice_of(text_of_wall_ms(r->act_at_ms, text)));
    field_text(&t, "secret", r->secret_id);
    field_text(&t, "evidence", r->evidence);
    field_text(&t, "operator", r->operator_name);
    for (uint32_t i = 0; i < r->late.count; i++) {
        table_cell(&t, "late completion");
        table_cell(&t, "%s, code %" PRIu64 ", token %" PRIu64, word_of_state(late[i].outcome),
                   late[i].code, late[i].fencing_token);
    }
    table_close(&t);
    if (r->state == RECORD_UNKNOWN) {
        char word[SHELL_WORD_BYTES];
        printf("\nIts effect may have happened. Find out, then:\n"
               "  holdfast resolve %s --token %" PRIu64 " --done|--failed|--retryable \\\n"
               "      [--code N] [--body TEXT] --evidence TEXT --operator NAME\n",
               text_for_shell(key, word), r->fencing_token);
    }
}

static int run_record(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, NULL, 0, &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 1, 1, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;

    struct msg_record_get request = {.key = slice_of(args.words[0])};
    struct msg_record_reply record;
    int called = raw_call(cli->client, OP_CODE_RECORD_GET, &request, &arena, &record);
    if (called == HF_ENOTFOUND) {
        rv = cli_fail(CLI_ABSENT,
                      "no record is stored under \"%s\"; check the spelling: keys match "
                      "exactly",
                      args.words[0]);
    } else if (called != HF_OK) {
        rv = cli_fail_status(cli, called, "look at the record");
    } else if (cli->json) {
        record_json(&record, NULL);
    } else {
        print_record(args.words[0], &record);
    }
    arena_close(&arena);
    return rv;
}

const struct verb verb_record = {
    .name = "record",
    .synopsis = "KEY",
    .summary = "all that is known of one record, its stored response too",
    .help =
        "With --json: the members of `records`, and fingerprint, takeover, retain_ms, born_ms,\n"
        "  done_at_ms, session, checkpoint_number, checkpoint_data, meta, headers, body,\n"
        "  body_kind, result_hash, ever_marked, act, act_at_ms, evidence, operator, parked,\n"
        "  late_completions. Bytes that are no UTF-8 stand as {\"base64\": ...}, hashes as\n"
        "  hexadecimal digits. Exit code 66: nothing is stored under KEY.\n",
    .run = run_record,
};
