/** Where an HTTP/2 server is. */
export interface PeerAddress {
  /** `http://host:port`, HTTP/2 in clear text, or `https://host:port`. */
  readonly address: string;
  /** For `https`; all peers of one address share the first given. Default: the system's authorities, the address' own name. */
  readonly tls?: PeerTls;
}

/** How a TLS peer is checked, and what it is shown. */
export interface PeerTls {
  /** PEM of the authorities trusted instead of the system's. */
  readonly ca?: string;
  /** PEM of a certificate for peers that ask for one, with its key. */
  readonly cert?: string;
  readonly key?: string;
  /** The name its certificate must carry, where that is not the address' host. */
  readonly serverName?: string;
}
