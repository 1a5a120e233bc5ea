/* branches: the branches of distributed transactions, by gid, those that nobody has ended among
 * them. branch: all that is known of one. What a participant stored is shown by `branch` alone. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/args.h"
#include "client/cli/listing.h"
#include "client/cli/words.h"

static const char *const states[] = {"",           "TRYING",    "TRIED",      "TRY_FAILED",
                                     "CONFIRMING", "CONFIRMED", "CANCELLING", "CANCELLED"};
_Static_assert(HF_ARRAY_COUNT(states) == BRANCH_STATE_MAX + 1, "a word a state");

static const char *const tries[] = {"never", "open", "done", "failed", "unknown"};
_Static_assert(HF_ARRAY_COUNT(tries) == BRANCH_TRY_MAX + 1, "a word each");

static void print_line(struct table *t, const void *line)
{
    const struct branch_line *b = line;
    char left[24];
    table_text(t, b->gid);
    table_text(t, b->branch);
    table_text(t, b->step);
    table_cell(t, "%s%s", states[b->state], b->lapsed != 0 ? ", lapsed" : "");
    table_cell(t, "%s", tries[b->tried]);
    table_cell(t, "%" PRIu64, b->attempt);
    table_cell(t, "%" PRIu64, b->failed_count);
    table_cell(t, "%" PRIu64, b->fencing_token);
    table_cell(t, "%s", b->left_ms > 0 ? text_of_ms(b->left_ms, left) : "-");
    table_text(t, b->client_name);
}

static void add_members(struct json *j, const struct branch_line *b)
{
    json_text(j, "gid", b->gid);
    json_text(j, "branch", b->branch);
    json_text(j, "step", b->step);
    json_text(j, "state", slice_of(states[b->state]));
    json_bool(j, "lapsed", b->lapsed != 0);
    json_text(j, "tried", slice_of(tries[b->tried]));
    json_token(j, "fencing_token", b->fencing_token);
    json_number(j, "attempt", b->attempt);
    json_number(j, "failed_count", b->failed_count);
    json_number(j, "code", b->code);
    json_number(j, "since_ms", b->since_ms);
    json_number(j, "left_ms", b->left_ms);
    json_text(j, "client_name", b->client_name);
    json_text(j, "peer", b->peer);
}

static void print_object(struct json *j, const void *line)
{
    json_object(j, NULL);
    add_members(j, line);
    json_end(j);
}

static const char *const headings_of_list[] = {"GID",      "BRANCH",  "STEP",   "STATE", "TRY",
                                               ">ATTEMPT", ">FAILED", ">TOKEN", ">LEFT", "CLIENT"};

static const struct listing branches_listing = {
    .op = OP_CODE_BRANCH_LIST,
    .name = "branches",
    .headings = headings_of_list,
    .heading_count = (int)HF_ARRAY_COUNT(headings_of_list),
    .print = print_line,
    .print_json = print_object,
};

/* \param word  of --state; NULL = any. */
static int state_of(const char *word, uint64_t *state)
{
    *state = BRANCH_NONE;
    if (word == NULL) return CLI_OK;
    for (*state = BRANCH_TRYING; *state <= BRANCH_STATE_MAX; *state += 1) {
        if (strcmp(word, states[*state]) == 0) return CLI_OK;
    }
    return cli_fail(CLI_USAGE,
                    "\"%s\" is no state of a branch; they are TRYING, TRIED, TRY_FAILED, "
                    "CONFIRMING, CONFIRMED, CANCELLING and CANCELLED",
                    word);
}

static int run_branches(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    const char *state = NULL;
    bool unfinished = false;
    struct msg_branch_list request = {.count_max = PAGE_ITEMS_MAX};
    const struct arg_option options[] = {
        {.name = "--state", .text = &state},
        {.name = "--unfinished", .flag = &unfinished},
        {.name = "--older-than",
         .number = &request.older_than_ms,
         .is_ms = true,
         .max = TIME_MS_MAX},
    };
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 0, 1, false);
    const char *prefix = args.word_count > 0 ? args.words[0] : "";
    if (rv == CLI_OK) rv = name_check(verb, prefix, 0);
    if (rv == CLI_OK) rv = state_of(state, &request.state);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    request.prefix = slice_of(prefix);
    request.unfinished = unfinished;
    if (rv == CLI_OK) rv = listing_run(&branches_listing, cli, &request, &arena);
    arena_close(&arena);
    return rv;
}

const struct verb verb_branches = {
    .name = "branches",
    .synopsis = "[PREFIX] [--unfinished] [--state STATE] [--older-than MS]",
    .summary = "branches of distributed transactions, with their state",
    .help =
        "  PREFIX            only gids that begin with it; without it all\n"
        "  --unfinished      only those that are neither CONFIRMED nor CANCELLED: they are kept\n"
        "                    until their coordinator, or whoever finds them here, ends them\n"
        "  --state STATE     TRYING, TRIED, TRY_FAILED, CONFIRMING, CONFIRMED, CANCELLING or\n"
        "                    CANCELLED\n"
        "  --older-than MS   only those whose state has not changed for so long\n"
        "\"lapsed\": a phase is open, but its lease has ended: whoever asks for it next takes it\n"
        "over. TRY is what is known of the try. With --json: {branches: [{gid, branch, step,\n"
        "  state, lapsed, tried, fencing_token, attempt, failed_count, code, since_ms, left_ms,\n"
        "  client_name, peer}]}.\n",
    .run = run_branches,
};

/* ------------------------------------------------------------------ one branch */

static void print_json(const struct msg_branch_info *b)
{
    const struct branch_line line = raw_branch_line(b);
    const struct late_item *late = b->late.items;
    struct json j = {.depth = 0};
    json_object(&j, NULL);
    add_members(&j, &line);
    json_hex(&j, "fingerprint", b->fingerprint);
    json_number(&j, "retain_ms", b->retain_ms);
    json_token(&j, "session", b->session);
    json_token(&j, "try_token", b->try_token);
    json_number(&j, "try_code", b->try_code);
    json_text(&j, "try_body", b->try_body);
    json_number(&j, "try_done_at_ms", b->try_done_at_ms);
    json_text(&j, "body", b->body);
    json_number(&j, "done_at_ms", b->done_at_ms);
    json_array(&j, "late_completions");
    for (uint32_t i = 0; i < b->late.count; i++) {
        json_object(&j, NULL);
        json_text(&j, "outcome", slice_of(word_of_state(late[i].outcome)));
        json_number(&j, "code", late[i].code);
        json_token(&j, "fencing_token", late[i].fencing_token);
        json_number(&j, "at_ms", late[i].at_ms);
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
}

static void add_wall(struct table *t, const char *name, uint64_t wall_ms)
{
    char text[24];
    if (wall_ms > 0) field_text(t, name, slice_of(text_of_wall_ms(wall_ms, text)));
}

static void print_branch(const struct msg_branch_info *b)
{
    static const char *const headings[] = {"FIELD", "VALUE"};
    const struct late_item *late = b->late.items;
    struct table t;
    char text[24];
    table_open(&t, headings, (int)HF_ARRAY_COUNT(headings));
    field_text(&t, "gid", b->gid);
    field_text(&t, "branch", b->branch);
    field_text(&t, "step", b->step);
    table_cell(&t, "state");
    table_cell(&t, "%s%s", states[b->state],
               b->lapsed != 0 ? ", lapsed: whoever asks next takes it over" : "");
    field_number(&t, "token", b->fencing_token);
    field_number(&t, "attempt", b->attempt);
    if (b->failed_count > 0) field_number(&t, "failed so often", b->failed_count);
    field_number(&t, "code", b->code);
    if (b->left_ms > 0) field_text(&t, "left", slice_of(text_of_ms(b->left_ms, text)));
    field_text(&t, "its end's body", b->body);
    add_wall(&t, "ended at", b->done_at_ms);
    field_text(&t, "try", slice_of(tries[b->tried]));
    if (b->try_token > 0) field_number(&t, "try's token", b->try_token);
    if (b->try_token > 0) field_number(&t, "try's code", b->try_code);
    field_text(&t, "try's body", b->try_body);
    add_wall(&t, "try ended at", b->try_done_at_ms);
    field_text(&t, "retained for", slice_of(text_of_ms(b->retain_ms, text)));
    field_text(&t, "client", b->client_name);
    field_text(&t, "peer", b->peer);
    for (uint32_t i = 0; i < b->late.count; i++) {
        table_cell(&t, "late end");
        table_cell(&t, "%s, code %" PRIu64 ", token %" PRIu64, word_of_state(late[i].outcome),
                   late[i].code, late[i].fencing_token);
    }
    table_close(&t);
}

static int run_branch(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct args args;
    struct arena arena = {.data = NULL};
    int rv = args_parse(cli, verb, argc, argv, NULL, 0, &args);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = args_expect(verb, &args, 2, 2, false);
    if (rv == CLI_OK) rv = name_check(verb, args.words[0], 1);
    if (rv == CLI_OK) rv = name_check(verb, args.words[1], 1);
    if (rv == CLI_OK) rv = reading_open(cli, &arena);
    if (rv != CLI_OK) return rv;

    const struct msg_branch_get request = {slice_of(args.words[0]), slice_of(args.words[1])};
    struct msg_branch_info branch;
    int called = raw_call(cli->client, OP_CODE_BRANCH_GET, &request, &arena, &branch);
    if (called == HF_ENOTFOUND) {
        rv = cli_fail(CLI_ABSENT,
                      "no branch \"%s\" of \"%s\" is stored; `holdfast branches %s` shows what is",
                      args.words[1], args.words[0], args.words[0]);
    } else if (called != HF_OK) {
        rv = cli_fail_status(cli, called, "look at the branch");
    } else if (cli->json) {
        print_json(&branch);
    } else {
        print_branch(&branch);
    }
    arena_close(&arena);
    return rv;
}

const struct verb verb_branch = {
    .name = "branch",
    .synopsis = "GID BRANCH",
    .summary = "all that is known of one branch, what its phases stored too",
    .help =
        "With --json: the members of `branches`, and fingerprint, retain_ms, session, try_token,\n"
        "  try_code, try_body, try_done_at_ms, body, done_at_ms, late_completions: ends of\n"
        "  phases that came too late and may have had their effect. Bytes that are no UTF-8\n"
        "  stand as {\"base64\": ...}. Exit code 66: it is not stored.\n",
    .run = run_branch,
};
