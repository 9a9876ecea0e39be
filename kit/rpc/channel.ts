import { Channel, credentials } from "@grpc/grpc-js";

/** The largest answer a client takes, in bytes. 4 MiB: a page of 100 of anything fits. */
const maxAnswerBytes = 4 * 1024 * 1024;

/**
 * A channel to `http://host:port`. It finds a restarted callee within a second (grpc-js would wait up to two minutes).
 * Repeating is left to the client, since one layer must know how often a call was tried; but a call that the callee
 * turned away unread, as it does while it closes a connection, is sent again by grpc-js.
 */
export function createChannel(url: string): Channel {
  const { protocol, host } = new URL(url);
  if (protocol !== "http:") throw new Error(`A callee's URL starts with http://, not ${protocol}//`);
  return new Channel(host.includes(":") ? host : `${host}:80`, credentials.createInsecure(), {
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.dns_min_time_between_resolutions_ms": 1_000,
    "grpc.max_receive_message_length": maxAnswerBytes,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_http_proxy": 0,
    "grpc.enable_channelz": 0,
  });
}
