/* What the tests of the library against a real server share: the server, a proxy that cuts its
 * connections, and short ways to a client and a record. */
#ifndef TESTS_INTEGRATION_CLIENT_FIXTURE_H
#define TESTS_INTEGRATION_CLIENT_FIXTURE_H

#include "client/include/holdfast_async.h"

#include <stdio.h>
#include <string.h>

#include "tests/integration/proxy.h"
#include "tests/integration/server_process.h"
#include "tests/unit/cmocka_all.h"

static struct server_process server;
static struct proxy proxy;

static inline int setup(void **state)
{
    (void)state;
    server_process_init(&server);
    server.extra[0] = "--segment-mib";
    server.extra[1] = "4";
    if (!server_process_start(&server)) return -1;
    proxy_start(&proxy, server.port);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    proxy_stop(&proxy);
    server_process_close(&server, false);
    return 0;
}

static _Atomic uint32_t losses;

static inline void count_loss(hf_client *client, const hf_loss *loss, void *data)
{
    (void)client;
    (void)loss;
    (void)data;
    losses += 1;
}

static inline hf_client *open_client(uint16_t port, uint64_t ttl_ms, uint64_t timeout_ms)
{
    hf_client *client;
    hf_options options;
    char servers[32];
    (void)snprintf(servers, sizeof servers, "127.0.0.1:%u", port);
    hf_options_init(&options);
    options.servers = servers;
    options.ttl_ms = ttl_ms;
    options.timeout_ms = timeout_ms;
    options.lost_cb = count_loss;
    assert_int_equal(hf_client_open(&options, &client), HF_OK);
    return client;
}

static inline void must(int status)
{
    if (status != HF_OK) fail_msg("%s: %s", hf_status_name(status), hf_status_text(status));
}

static inline hf_record *begin(hf_client *client, const char *key, const char *what, int takeover,
                               int expected)
{
    hf_record *record = NULL;
    hf_begin how = {.takeover = takeover};
    hf_fingerprint(what, strlen(what), how.fingerprint);
    int rv = hf_record_begin(client, key, &how, &record, NULL);
    if (rv != expected) fail_msg("%s, not %s", hf_status_name(rv), hf_status_name(expected));
    return record;
}

#endif
