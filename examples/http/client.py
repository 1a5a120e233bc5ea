#!/usr/bin/env python3
"""Sends one request, or several at once, and prints a line for each answer, for examples/http/test:
"STATUS REPLAYED RETRY_AFTER LOCATION BYTES HASH FIRST_LINE", a "-" for what is not there; "000" and
nothing more if the connection was cut.

    client.py PORT KEY BODY [--count N] [--method METHOD] [--path PATH]     KEY "-": without
"""
import argparse
import hashlib
import http.client
import threading


def line_of(arguments):
    headers = {} if arguments.key == '-' else {'Idempotency-Key': arguments.key}
    connection = http.client.HTTPConnection('127.0.0.1', arguments.port, timeout=60)
    try:
        connection.request(arguments.method, arguments.path, arguments.body, headers)
        answer = connection.getresponse()
        body = answer.read()
    except (http.client.HTTPException, OSError):
        return '000'
    finally:
        connection.close()
    words = [str(answer.status)]
    words += [answer.getheader(name, '-') for name in
              ('Idempotency-Replayed', 'Retry-After', 'Location')]
    words += [str(len(body)), hashlib.sha256(body).hexdigest()]
    return ' '.join(words) + ' ' + body.decode().split('\n')[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('port', type=int)
    parser.add_argument('key')
    parser.add_argument('body')
    parser.add_argument('--count', type=int, default=1)
    parser.add_argument('--method', default='POST')
    parser.add_argument('--path', default='/payments')
    arguments = parser.parse_args()
    lines = []
    threads = [threading.Thread(target=lambda: lines.append(line_of(arguments)))
               for _ in range(arguments.count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print('\n'.join(lines))


main()
