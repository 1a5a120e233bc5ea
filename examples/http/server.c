/* http_server: payments over HTTP, by libmicrohttpd, with the Idempotency-Key of the IETF draft
 * "The Idempotency-Key HTTP Header Field". A thread a connection, which may block.
 *
 *   http_server DIR [--ttl MS]       prints the port that it listens on, at 127.0.0.1
 *
 *   POST /payments      ACCOUNT CENTS [LINES]: takes the money, answers with a receipt of so many
 *                       lines (for the test: one that is too large to be stored in a record)
 *
 * DIR/ledger has a line for each payment. For the test: as long as DIR/hold exists, a payment waits
 * in the midst of its effect, behind the line. */
#include <fcntl.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "examples/http/idempotent.h"

enum {
    UPLOAD_BYTES_MAX = 4096,
    KEY_BYTES = 200, /* with the NUL; "payments/" in front, and 255 are the most */
    WORD_BYTES = 64,
    PATH_BYTES = 512,
    LINES_MAX = 10000,
    RECEIPT_BYTES = 128, /* a line of it */
    HOLD_US = 20 * 1000,
    CENTS_MAX = 1000000, /* more than anybody has */
    TIMEOUT_MS = 3000,
    EXIT_USE = 64,
};

struct server {
    struct handler handler;
    const char *dir; /* borrowed */
};

/* What came of a request so far. */
struct upload {
    char body[UPLOAD_BYTES_MAX + 1]; /* ended by a NUL */
    size_t size;                     /* over UPLOAD_BYTES_MAX: too large, and not kept */
};

struct order {
    char account[WORD_BYTES];
    int64_t cents;
    int lines;
};

/* ------------------------------------------------------------------ the payment */

/* "ACCOUNT CENTS [LINES]". \return 0 if it is something else. */
static int parse_order(const char *body, struct order *order)
{
    char copy[UPLOAD_BYTES_MAX + 1];
    char *rest = NULL;
    char *end = NULL;
    (void)snprintf(copy, sizeof copy, "%s", body);
    const char *account = strtok_r(copy, " \n", &rest);
    const char *cents = strtok_r(NULL, " \n", &rest);
    const char *lines = strtok_r(NULL, " \n", &rest);
    if (account == NULL || cents == NULL || strlen(account) >= WORD_BYTES) return 0;
    if (strspn(account, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(account)) return 0;
    (void)snprintf(order->account, WORD_BYTES, "%s", account);
    order->cents = strtoll(cents, &end, 10);
    if (*end != '\0' || order->cents <= 0) return 0;
    order->lines = lines != NULL ? (int)strtol(lines, &end, 10) : 1;
    return *end == '\0' && order->lines >= 1 && order->lines <= LINES_MAX;
}

static void write_ledger(const struct server *server, const struct order *order, uint64_t token)
{
    char path[PATH_BYTES];
    char line[RECEIPT_BYTES];
    (void)snprintf(path, sizeof path, "%s/ledger", server->dir);
    int size = snprintf(line, sizeof line, "%" PRIu64 " %s %" PRId64 "\n", token, order->account,
                        order->cents);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0 || write(file, line, (size_t)size) != size || close(file) != 0) {
        fprintf(stderr, "http_server: cannot write %s\n", path);
        exit(1); /* whether the line is there is found out by whoever resolves the record */
    }
    (void)snprintf(path, sizeof path, "%s/hold", server->dir);
    while (access(path, F_OK) == 0) (void)usleep(HOLD_US);
}

static void pay(const struct request *request, uint64_t token, struct response *response,
                void *data)
{
    struct order order;
    if (!parse_order(request->body, &order) || order.cents > CENTS_MAX) {
        response_refuse(response, 402, 0, "There is too little money.");
        return;
    }
    write_ledger(data, &order, token);
    response->code = 201;
    (void)snprintf(response->headers, sizeof response->headers,
                   "Content-Type: text/plain\nLocation: /payments/%" PRIu64 "\n", token);
    response->body = malloc((size_t)order.lines * RECEIPT_BYTES);
    for (int i = 0; response->body != NULL && i < order.lines; i++) {
        response->body_bytes +=
            (size_t)snprintf(response->body + response->body_bytes, RECEIPT_BYTES,
                             "receipt %" PRIu64 ", line %d: %" PRId64 " cents of %s\n", token,
                             i + 1, order.cents, order.account);
    }
}

/* ------------------------------------------------------------------ HTTP */

/* The header's value is a string in quotes (RFC 8941); clients that leave them out are understood.
 * \return 0 if it is neither. */
static int parse_key(const char *text, char key[KEY_BYTES])
{
    int quoted = *text == '"';
    int size = snprintf(key, KEY_BYTES, "payments/");
    for (text += quoted; *text != '\0' && !(quoted && *text == '"'); text++) {
        if (quoted && *text == '\\') text++;
        if (*text < (quoted ? ' ' : '!') || *text > '~' || size == KEY_BYTES - 1) return 0;
        if (!quoted && strchr("\",;", *text) != NULL) return 0;
        key[size++] = *text;
    }
    key[size] = '\0';
    if (size == (int)strlen("payments/")) return 0;
    return !quoted || (text[0] == '"' && text[1] == '\0');
}

static void answer(const struct server *server, struct MHD_Connection *connection,
                   const struct request *request, struct response *response)
{
    char key[KEY_BYTES];
    struct order order;
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Idempotency-Key");
    if (strcmp(request->path, "/payments") != 0) {
        response_refuse(response, 404, 0, "There is nothing here.");
    } else if (strcmp(request->method, "POST") != 0) {
        response_refuse(response, 405, 0, "Payments are POSTed.");
    } else if (text == NULL || !parse_key(text, key)) {
        response_refuse(response, 400, 0,
                        "A payment needs an Idempotency-Key: a string in quotes.");
    } else if (request->body_bytes > UPLOAD_BYTES_MAX) {
        response_refuse(response, 413, 0, "This is too large for a payment.");
    } else if (!parse_order(request->body, &order)) {
        response_refuse(response, 400, 0, "A payment is: ACCOUNT CENTS.");
    } else {
        idempotent_answer(&server->handler, key, request, response);
    }
}

static enum MHD_Result send_response(struct MHD_Connection *connection, struct response *response)
{
    char *rest = NULL;
    struct MHD_Response *out = MHD_create_response_from_buffer(response->body_bytes, response->body,
                                                               MHD_RESPMEM_MUST_COPY);
    if (out == NULL) return MHD_NO;
    for (char *line = strtok_r(response->headers, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *value = strstr(line, ": ");
        if (value == NULL) continue;
        *value = '\0';
        (void)MHD_add_response_header(out, line, value + 2);
    }
    if (response->replayed) (void)MHD_add_response_header(out, "Idempotency-Replayed", "true");
    enum MHD_Result sent = MHD_queue_response(connection, response->code, out);
    MHD_destroy_response(out);
    return sent;
}

/* Called for a request's head, for each part of its body, and at its end. */
static enum MHD_Result take(void *data, struct MHD_Connection *connection, const char *path,
                            const char *method, const char *version, const char *part,
                            size_t *part_bytes, void **state)
{
    struct upload *upload = *state;
    (void)version;
    if (upload == NULL) {
        *state = calloc(1, sizeof *upload);
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    if (*part_bytes > 0) {
        if (upload->size + *part_bytes <= UPLOAD_BYTES_MAX) {
            memcpy(upload->body + upload->size, part, *part_bytes);
        }
        upload->size += *part_bytes;
        *part_bytes = 0;
        return MHD_YES;
    }
    struct response response = {.code = 0};
    const struct request request = {
        .method = method, .path = path, .body = upload->body, .body_bytes = upload->size};
    answer(data, connection, &request, &response);
    enum MHD_Result sent = send_response(connection, &response);
    response_close(&response);
    return sent;
}

static void end_request(void *data, struct MHD_Connection *connection, void **state,
                        enum MHD_RequestTerminationCode why)
{
    (void)data;
    (void)connection;
    (void)why;
    free(*state);
    *state = NULL;
}

/* ------------------------------------------------------------------ the program */

static int serve(struct server *server)
{
    sigset_t ends;
    int signal_number;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL,
                         NULL, take, server, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_END);
    if (daemon == NULL) {
        fprintf(stderr, "http_server: cannot listen\n");
        return 1;
    }
    printf("%u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)fflush(stdout);
    (void)sigwait(&ends, &signal_number);
    MHD_stop_daemon(daemon); /* when what is under way has been answered */
    return 0;
}

int main(int argc, char **argv)
{
    struct server server = {.dir = argc > 1 ? argv[1] : NULL};
    hf_options options;
    hf_options_init(&options);
    options.timeout_ms = TIMEOUT_MS;
    if (argc == 4 && strcmp(argv[2], "--ttl") == 0) {
        options.ttl_ms = strtoull(argv[3], NULL, 10);
    } else if (argc != 2) {
        fprintf(stderr, "use: http_server DIR [--ttl MS]\n");
        return EXIT_USE;
    }
    server.handler.bodies = server.dir;
    server.handler.effect_cb = pay;
    server.handler.data = &server;
    int rv = hf_client_open(&options, &server.handler.client);
    if (rv != HF_OK) {
        fprintf(stderr, "http_server: no client: %s\n", hf_status_text(rv));
        return 1;
    }
    int code = serve(&server);
    hf_client_close(server.handler.client);
    return code;
}
