/* Failures as sentences: a status of the library becomes what happened, what to do, and the exit
 * code. Pure but for standard error. */
#include "client/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/scan.h"

enum { SENTENCE_BYTES = 2048 };

struct advice {
    int status;       /* of the library */
    int exit_code;    /* enum cli_exit */
    const char *todo; /* what to do, a clause */
};

static const struct advice advices[] = {
    {HF_EBUSY, CLI_TRY_AGAIN, "try again later, or wait with --wait MS"},
    {HF_EWAITTIMEOUT, CLI_TRY_AGAIN, "try again later, or wait longer"},
    {HF_EDELAYED, CLI_TRY_AGAIN, "try again when the lock-delay is over, or wait with --wait MS"},
    {HF_EDEADLOCK, CLI_TRY_AGAIN, "release another lock first"},
    {HF_ELIMIT, CLI_TRY_AGAIN, "try again when its present holders are gone"},
    {HF_EFROZEN, CLI_TRY_AGAIN,
     "try again after the thaw; `holdfast frozen` shows who froze what, and why"},
    {HF_EQUOTA, CLI_TRY_AGAIN,
     "use fewer at once, try again later, or see the caps of `holdfast config get`"},
    {HF_ENOSPACE, CLI_TRY_AGAIN, "free disk space on the servers, then try again"},
    {HF_ETOOBUSY, CLI_TRY_AGAIN, "try again later"},
    {HF_EUNACKED, CLI_TRY_AGAIN, "try again later"},
    {HF_ERUNNING, CLI_TRY_AGAIN, "try again later, or wait longer with --wait MS"},
    {HF_ESESSION, CLI_TRY_AGAIN, "try again: it was not done"},
    {HF_ELOST, CLI_TRY_AGAIN, "try again: the answer came too late to be used"},
    {HF_EMISMATCH, CLI_MISMATCH, "use another key, or the request it was first used with"},
    {HF_ESTALE, CLI_MISMATCH, "look at the present token and state"},
    {HF_ECONFLICT, CLI_MISMATCH, "look at the result that stands"},
    {HF_ECHANGED, CLI_MISMATCH, "look at it again"},
    {HF_EFIRED, CLI_MISMATCH, "its consumers have it, or had it"},
    {HF_EGAP, CLI_ABSENT, "read anew what was derived from events"},
    {HF_ETIMERCANCELLED, CLI_MISMATCH, "set a higher version if it is to fire after all"},
    {HF_EBADSTATE, CLI_MISMATCH,
     "look at its present state (`holdfast record KEY`, `holdfast timer list`)"},
    {HF_ENOTFOUND, CLI_ABSENT, "check the spelling: names match exactly"},
    {HF_EKEYEXPIRED, CLI_ABSENT, "do not run it again; use a longer --retain next time"},
    {HF_EKEYTOOOLD, CLI_ABSENT, "do not run it"},
    {HF_ERECORDUNKNOWN, CLI_UNKNOWN, "find out whether it happened, then use `holdfast resolve`"},
    {HF_EUNKNOWN, CLI_UNKNOWN, "look at the state before you try again"},
    {HF_ECONNECT, CLI_UNKNOWN, "check that holdfastd runs there, or name others with --servers"},
    {HF_EBREAKER, CLI_UNKNOWN, "check that holdfastd answers, then try again"},
    {HF_ENOTLEADER, CLI_UNKNOWN,
     "look with `holdfast status` whether more than half of the servers run and reach each other; "
     "meanwhile --stale shows what is held"},
    {HF_ESHUTDOWN, CLI_UNKNOWN, "try again when it is back"},
    {HF_ETIMEOUT, CLI_UNKNOWN, "check that holdfastd answers, then try again"},
    {HF_EREPLYGONE, CLI_UNKNOWN, "look at the state before you try again"},
    {HF_ESESSIONUNKNOWN, CLI_UNKNOWN, "look at the state before you try again"},
    {HF_EVERSION, CLI_REFUSED, "use a command line and servers of the same version"},
    {HF_EBADREQUEST, CLI_REFUSED,
     "check names and numbers; they are limited to 255 bytes of UTF-8"},
    {HF_EINVAL, CLI_USAGE, "names have 1 to 255 bytes of UTF-8; see --help for the numbers"},
    {HF_ETOOLARGE, CLI_REFUSED, "make it smaller"},
    {HF_ENOKEY, CLI_SYSTEM, "name the file that holds it with --secrets; send nothing without it"},
    {HF_ENOMEM, CLI_SYSTEM, "free memory on this machine"},
    {HF_EIO, CLI_SYSTEM, "check this machine's limits on files and processes"},
};

const char *text_of_errno(int error)
{
    static char text[128]; /* one failure ends a process: nobody asks twice at once */
    if (strerror_r(error, text, sizeof text) != 0) return "the system gave no reason";
    return text;
}

static const struct advice *find(int status)
{
    static const struct advice other = {HF_EINTERNAL, CLI_REFUSED, "report it as a defect"};
    for (size_t i = 0; i < HF_ARRAY_COUNT(advices); i++) {
        if (advices[i].status == status) return &advices[i];
    }
    return &other;
}

/* Control bytes, and bytes of no UTF-8, come from names and must not drive a terminal. */
static void print_byte(char byte, bool is_text)
{
    unsigned char c = (unsigned char)byte;
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && !is_text)) {
        (void)fprintf(stderr, "\\x%02x", c);
    } else {
        (void)fputc(byte, stderr);
    }
}

static void print(const char *format, va_list arguments)
{
    char sentence[SENTENCE_BYTES];
    (void)vsnprintf(sentence, sizeof sentence, format, arguments);
    size_t size = strlen(sentence);
    bool stopped = size > 0 && sentence[size - 1] == '.';
    bool is_text = scan_is_text(slice_make(sentence, size));
    (void)fputs("holdfast: ", stderr);
    for (size_t i = 0; i < size; i++) print_byte(sentence[i], is_text);
    (void)fputs(stopped ? "\n" : ".\n", stderr);
}

const char *text_for_shell(const char *text, char *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./:@%+=,-";
    size_t size = 0;
    HF_ASSERT(strlen(text) * 4 + 3 <= SHELL_WORD_BYTES); /* each quote becomes four bytes */
    if (text[0] != '\0' && text[0] != '-' && text[strspn(text, plain)] == '\0') return text;
    out[size++] = '\'';
    for (const char *p = text; *p != '\0'; p++) {
        const char *piece = "'\\''";
        size_t piece_size = 4;
        if (*p != '\'') {
            piece = p;
            piece_size = 1;
        }
        memcpy(out + size, piece, piece_size);
        size += piece_size;
    }
    out[size++] = '\'';
    out[size] = '\0';
    return out;
}

int cli_fail(int exit_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
    return exit_code;
}

void cli_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print(format, arguments);
    va_end(arguments);
}

bool cli_is_weather(int status)
{
    return status == HF_ECONNECT || status == HF_ETIMEOUT || status == HF_EUNKNOWN ||
           status == HF_ENOTLEADER || status == HF_ESHUTDOWN || status == HF_ETOOBUSY;
}

int cli_fail_status(const struct cli *cli, int status, const char *what)
{
    HF_ASSERT(status != HF_OK);
    const struct advice *advice = find(status);
    return cli_fail(advice->exit_code, "could not %s: %s (%s, servers %s); %s", what,
                    hf_status_text(status), hf_status_name(status), cli->servers, advice->todo);
}
