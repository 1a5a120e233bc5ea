/* once: run a command once for a key, anywhere, and give every later and concurrent caller its
 * standard output and exit code. The way of a first call: BEGIN; a mark that says "I run it now",
 * acknowledged before the command starts; the command; COMPLETE, repeated until it is answered.
 *
 * Failure modes. Died before the mark: nothing ran, the next caller takes over. Died behind it: the
 * key is UNKNOWN until somebody resolves it. The command ended by a signal: nobody knows what it
 * did, so the attempt is given back and becomes UNKNOWN as well. With --rerun there is no mark: the
 * next caller takes over, and the command is ended before the attempt's lease, as `lock` does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/args.h"
#include "client/cli/interrupt.h"
#include "client/cli/once.h"
#include "client/cli/run_command.h"
#include "client/cli/secrets_file.h"
#include "client/cli/words.h"

static void on_loss(hf_client *client, const hf_loss *loss, void *data)
{
    (void)client;
    (void)loss;
    (void)data;
    run_wake();
}

/* ------------------------------------------------------------------ what was stored before */

/* What later callers have to know of a cut output stands in the headers: "stdout_bytes=N". */
static bool is_cut(const hf_record_view *view)
{
    return view->headers_bytes >= 1 && view->body_bytes == HF_BODY_BYTES_MAX;
}

/* The stored body is not what the command printed. */
static int tell_no_output(const struct once *o, const hf_record_view *view, int code)
{
    if (view->body_kind == HF_BODY_GONE) {
        return cli_fail(CLI_ABSENT,
                        "\"%s\" was run before and ended with %d, but its output was erased, so "
                        "there is nothing to print; do not run it again",
                        o->key, code);
    }
    bool refers = view->body_kind == HF_BODY_REFERENCE;
    return cli_fail(code != 0 ? code : CLI_CUT,
                    "\"%s\" was done before, but not its result is stored%s%.*s; look for it there",
                    o->key, refers ? " but where it stands: " : ", for its size: whoever did it",
                    refers ? (int)view->body_bytes : 0, refers ? (const char *)view->body : "");
}

static int replay(const struct once *o, const hf_record_view *view)
{
    bool whole = view->body_kind == HF_BODY_WHOLE;
    if (whole && view->body_bytes > 0 &&
        fwrite(view->body, 1, view->body_bytes, stdout) != view->body_bytes) {
        return cli_fail(CLI_SYSTEM,
                        "standard output did not take the stored output of \"%s\"; make "
                        "room and repeat",
                        o->key);
    }
    int code = view->code <= 255 ? (int)view->code : 1; /* a foreign record's */
    if (view->outcome == HF_FAILED && code == 0) code = 1;
    if (view->body_kind != HF_BODY_WHOLE) return tell_no_output(o, view, code);
    if (!is_cut(view)) return code;
    return cli_fail(code != 0 ? code : CLI_CUT,
                    "\"%s\" was run before, but its output was longer "
                    "than 65,536 bytes and only the first of them were stored and printed; let the "
                    "command print less, or where its result is",
                    o->key);
}

/* The end of a sentence: the command that resolves attempt `token`, or "T" where it is not known.
 */
static int tell_resolve(const struct once *o, uint64_t token, const char *what)
{
    char word[SHELL_WORD_BYTES];
    char number[24] = "T";
    if (token != 0) (void)snprintf(number, sizeof number, "%" PRIu64, token);
    return cli_fail(CLI_UNKNOWN,
                    "%s find out, then decide with: holdfast resolve %s --token %s "
                    "--done|--failed|--retryable [--code N] [--body TEXT] --evidence TEXT "
                    "--operator NAME",
                    what, text_for_shell(o->key, word), number);
}

static int tell_unknown(const struct cli *cli, const struct once *o)
{
    struct msg_record_get request = {.key = slice_of(o->key)};
    struct msg_record_reply record;
    struct arena arena;
    uint64_t token = 0;
    char what[NAME_BYTES_MAX + 200];
    if (arena_init(&arena, RAW_ARENA_BYTES) == HF_OK) {
        if (raw_call(cli->client, OP_CODE_RECORD_GET, &request, &arena, &record) == HF_OK) {
            token = record.fencing_token;
        }
        arena_close(&arena);
    }
    (void)snprintf(what, sizeof what,
                   "\"%s\" is UNKNOWN: its runner died or lost touch while the command ran, so the "
                   "effect may have happened; if that runner comes back, its result stands; else",
                   o->key);
    return tell_resolve(o, token, what);
}

static int tell_not_begun(const struct cli *cli, const struct once *o, int status)
{
    switch (status) {
    case HF_EMISMATCH:
        return cli_fail(CLI_MISMATCH,
                        "\"%s\" was used before with another --fingerprint, so nothing "
                        "was run; use another key for another request",
                        o->key);
    case HF_ERECORDUNKNOWN: return tell_unknown(cli, o);
    case HF_ERUNNING:
        return cli_fail(CLI_TRY_AGAIN,
                        "another process still runs \"%s\", and did for all of %" PRIu64
                        " ms; try later, or wait longer",
                        o->key, o->wait_ms);
    default: return cli_fail_status(cli, status, "begin the record");
    }
}

/* ------------------------------------------------------------------ the run */

static uint64_t left_ms(void *data)
{
    return hf_record_left_ms(data);
}

static int tell_not_counted(const struct cli *cli, const struct once *o, int status)
{
    if (status == HF_ESTALE || status == HF_ECONFLICT || status == HF_ELOST) {
        return cli_fail(
            CLI_LOST,
            "the command for \"%s\" ended, but its attempt had been taken over "
            "or resolved before, so its result does not count (it is kept as evidence); "
            "repeat this call to get the one that does",
            o->key);
    }
    return cli_fail_status(cli, status, "store the command's result");
}

static int tell_too_late(const struct once *o)
{
    return cli_fail(CLI_TRY_AGAIN,
                    "the lease of \"%s\" ended before the command was started; nothing "
                    "was run, try again",
                    o->key);
}

static int tell_killed(const struct once *o, uint64_t token, const struct run_result *result)
{
    char what[NAME_BYTES_MAX + 200];
    (void)snprintf(what, sizeof what,
                   "signal %d ended the command for \"%s\", and nobody knows what it had done by "
                   "then: the key is UNKNOWN;",
                   result->signal, o->key);
    return tell_resolve(o, token, what);
}

/* The command has ended by itself: store what it said. */
static int store(struct cli *cli, const struct once *o, hf_record *record,
                 const struct run_result *result, const struct buffer *body)
{
    char headers[32];
    bool cut = result->out_bytes > body->size;
    int size = snprintf(headers, sizeof headers, "stdout_bytes=%" PRIu64 "\n", result->out_bytes);
    const hf_result stored = {
        .code = (uint32_t)result->exit_code,
        .headers = cut ? headers : NULL,
        .headers_bytes = cut ? (size_t)size : 0,
        .body = body->data,
        .body_bytes = body->size,
    };
    int outcome = HF_DONE;
    if (result->exit_code != 0) outcome = o->retry_on_failure ? HF_RETRYABLE : HF_FAILED;
    int status = once_complete(record, outcome, outcome == HF_RETRYABLE ? NULL : &stored);
    if (status != HF_OK) return tell_not_counted(cli, o, status);
    if (cut && outcome != HF_RETRYABLE) {
        cli_warn("the output of \"%s\" was %" PRIu64 " bytes long and only the first 65,536 were "
                 "stored; later callers get those, and exit code %d",
                 o->key, result->out_bytes, result->exit_code != 0 ? result->exit_code : CLI_CUT);
    }
    return result->exit_code;
}

/* The command was not started: that is certain, so the next caller may. */
static int give_back(const struct cli *cli, const struct once *o, hf_record *record,
                     const char *command, int error)
{
    int status = once_complete(record, HF_RETRYABLE, NULL);
    if (status != HF_OK) return tell_not_counted(cli, o, status);
    if (error == ENOENT || error == ENOTDIR) {
        return cli_fail(CLI_NO_COMMAND,
                        "there is no command \"%s\"; nothing was run and \"%s\" is "
                        "still to do",
                        command, o->key);
    }
    return cli_fail(error == EACCES || error == ENOEXEC ? CLI_CANNOT_RUN : CLI_SYSTEM,
                    "\"%s\" could not be run: %s; nothing was run and \"%s\" is still to do",
                    command, text_of_errno(error), o->key);
}

/* Nothing was run, and the attempt is given back: the next caller, who may know it, goes on. */
static int tell_no_key(const struct cli *cli, const struct once *o, int status)
{
    if (status != HF_ENOKEY) return cli_fail_status(cli, status, "derive the key");
    return cli_fail(CLI_SYSTEM,
                    "\"%s\" was begun under a secret that is not in the file given here, or under "
                    "none, so no key can be derived and nothing was run; name the file that holds "
                    "it, or leave it to a machine that has it",
                    o->key);
}

static int run_attempt(struct cli *cli, const struct once *o, hf_record *record)
{
    const hf_record_view *view = hf_record_look(record);
    char derived[HF_DERIVED_BYTES];
    int derived_rv = o->step != NULL ? hf_record_derive(record, o->step, derived) : HF_OK;
    if (derived_rv != HF_OK) return tell_no_key(cli, o, derived_rv);
    if (!o->rerun) {
        int status = once_mark(record, view->checkpoint_number + 1);
        if (status == HF_ESTALE || status == HF_ELOST) return tell_too_late(o);
        if (status != HF_OK) return cli_fail_status(cli, status, "mark the start of the command");
    }
    if (!hf_record_valid(record, 0)) { /* paused in between: somebody may have decided already */
        int status = once_complete(record, HF_RETRYABLE, NULL);
        return status == HF_OK ? tell_too_late(o) : tell_not_counted(cli, o, status);
    }
    struct buffer body;
    struct run_result result;
    buffer_init(&body, HF_BODY_BYTES_MAX);
    const struct run_order order = {
        .command = o->command,
        .token = view->fencing_token,
        .derived_key = o->step != NULL ? derived : NULL,
        .lease_ms = o->ttl_ms,
        .left_ms = o->rerun ? left_ms : NULL,
        .data = record,
        .capture = &body,
    };
    run_command(&order, &result);
    int rv;
    if (result.error != 0) {
        rv = give_back(cli, o, record, o->command[0], result.error);
    } else if (result.stopped) {
        rv = cli_fail(CLI_LOST,
                      "the lease of \"%s\" was lost, so the command was stopped; the next "
                      "caller runs it again, as --rerun allows",
                      o->key);
    } else if (result.signal != 0 && !o->rerun) {
        rv = tell_killed(o, order.token, &result);
    } else if (result.signal != 0) {
        int status = once_complete(record, HF_RETRYABLE, NULL);
        rv = status == HF_OK ? result.exit_code : tell_not_counted(cli, o, status);
    } else {
        rv = store(cli, o, record, &result, &body);
    }
    buffer_close(&body);
    return rv;
}

/* ------------------------------------------------------------------ the verb */

static int parse(struct cli *cli, const struct verb *verb, int argc, char **argv, struct args *args,
                 struct once *o)
{
    const struct arg_option options[] = {
        {.name = "--fingerprint", .text = &o->fingerprint},
        {.name = "--retain",
         .number = &o->retain_ms,
         .is_ms = true,
         .min = RETAIN_MS_MIN,
         .max = RETAIN_MS_MAX},
        {.name = "--derive", .text = &o->step},
        {.name = "--secrets", .text = &o->secrets},
        {.name = "--rerun", .flag = &o->rerun},
        {.name = "--retry-on-failure", .flag = &o->retry_on_failure},
        {.name = "--wait", .number = &o->wait_ms, .is_ms = true, .max = WAIT_MS_MAX},
        {.name = "--ttl",
         .number = &o->ttl_ms,
         .is_ms = true,
         .min = TTL_MS_MIN,
         .max = TTL_MS_MAX},
    };
    int rv = args_parse(cli, verb, argc, argv, options, HF_ARRAY_COUNT(options), args);
    if (rv != CLI_OK || args->help) return rv;
    rv = args_expect(verb, args, 1, 1, true);
    if (rv == CLI_OK) rv = name_check(verb, args->words[0], 1);
    if (rv == CLI_OK && o->step != NULL) rv = name_check(verb, o->step, 1);
    o->key = args->words[0];
    o->command = args->command;
    return rv;
}

static int run_once(struct cli *cli, const struct verb *verb, int argc, char **argv)
{
    struct once o = {
        .fingerprint = "", .retain_ms = RETAIN_MS_DEFAULT, .wait_ms = WAIT_MS_MAX, .ttl_ms = 10000};
    struct args args;
    int rv = parse(cli, verb, argc, argv, &args, &o);
    if (rv != CLI_OK) return rv;
    if (args.help) return args_help(verb);
    rv = o.step != NULL ? secrets_open(cli, o.secrets, o.ttl_ms, 0, on_loss)
                        : cli_open(cli, o.ttl_ms, 0, on_loss);
    if (rv != CLI_OK) return rv;

    hf_record *record = NULL;
    interrupt_begin(cli->client);
    int status = once_begin(cli->client, &o, &record);
    int interrupted = interrupt_end();
    if (interrupted != 0) {
        hf_record_free(record); /* if it was begun at that moment, it is given back */
        return cli_fail(128 + interrupted,
                        "interrupted while it waited for \"%s\"; nothing was run here", o.key);
    }
    if (status != HF_OK) return tell_not_begun(cli, &o, status);
    const hf_record_view *view = hf_record_look(record);
    rv = view->verdict == HF_REPLAY ? replay(&o, view) : run_attempt(cli, &o, record);
    hf_record_free(record);
    return rv;
}

const struct verb verb_once = {
    .name = "once",
    .synopsis = "KEY [--fingerprint TEXT] [--retain MS] [--rerun] [--retry-on-failure]\n"
                "             [--wait MS] [--ttl MS] [--derive STEP [--secrets FILE]]\n"
                "             -- COMMAND ...",
    .summary = "run COMMAND once for KEY, in any number of processes on any number of machines",
    .help =
        "The first caller runs COMMAND; later and concurrent ones get its standard output and "
        "exit\n"
        "code without running it. Standard error is not stored.\n"
        "  --fingerprint TEXT   what KEY stands for (amount, receiver, ...): a later caller with\n"
        "                       another text is refused with exit code 65; default: empty. "
        "COMMAND\n"
        "                       itself is not compared\n"
        "  --retain MS          keep the result so long, from 60,000; default a day. For ten "
        "times\n"
        "                       as long it is known that it was done: exit code 66, nothing is "
        "run\n"
        "  --wait MS            wait so long for another process that runs it; default a day; "
        "then\n"
        "                       exit code 75\n"
        "  --ttl MS             the lease: how long after this machine's death the others learn "
        "of\n"
        "                       it; 500 to 3,600,000, default 10,000\n"
        "  --rerun              COMMAND may run again. Without it, a runner that dies while "
        "COMMAND\n"
        "                       runs leaves KEY UNKNOWN: every caller gets exit code 69 and how "
        "to\n"
        "                       resolve it; a runner that loses touch with the servers lets "
        "COMMAND\n"
        "                       finish, and the late result stands. With it the next caller runs "
        "it\n"
        "                       again, and COMMAND gets TERM, then KILL, before its lease ends "
        "(exit\n"
        "                       code 70). Say it in all calls of a key or in none\n"
        "  --derive STEP        put the key that is derived for STEP (see `derive`) into\n"
        "                       HOLDFAST_DERIVED_KEY: the same at every run of KEY, on every\n"
        "                       machine that has the secret. COMMAND gives it to its provider, and "
        "\n"
        "                       --rerun is then safe; without the secret nothing is run: 71\n"
        "  --secrets FILE       where the secrets are; else $HOLDFAST_SECRETS\n"
        "  --retry-on-failure   an exit code other than 0 is not stored: the next caller runs it\n"
        "                       again. Without it that code is the result, and is replayed\n"
        "A COMMAND that a signal ended said nothing about what it did: UNKNOWN, exit code 69 "
        "(with\n"
        "--rerun 128 + N, and the next caller runs it again). INT, TERM, HUP, QUIT, USR1 and USR2\n"
        "are passed on to it. HOLDFAST_TOKEN in its environment is the attempt's fencing token. "
        "The\n"
        "result is stored when COMMAND and all that inherited its standard output have closed it.\n"
        "An output longer than 65,536 bytes is shown whole to the first caller, with a warning; "
        "of\n"
        "it the first 65,536 bytes are stored, and later callers get those with exit code 74 (or\n"
        "COMMAND's own, if that is not 0). The server may be restarted at any time.\n",
    .run = run_once,
};
