// Certificate and key of the API over HTTPS; a reload reads them again.

import { Server } from "node:tls";
import type { FastifyInstance } from "fastify";
import { TLS_SERVER } from "../../export/tls/suites.ts";
import { readTls } from "./secrets.ts";
import type { Configuration } from "../schemas/configuration-schema.ts";
import type { NamedCertificates, TlsSource } from "./sources.ts";

type ApiTcp = NonNullable<Configuration["sockets"]["api_tcp"]>;

export class ApiFiles implements TlsSource {
  readonly #tcp: ApiTcp;
  #files: ReturnType<typeof readTls>;
  #app: FastifyInstance | null = null;

  /** Throws ControlError. */
  constructor(tcp: ApiTcp) {
    this.#tcp = tcp;
    this.#files = readTls(tcp);
  }

  /** What a server starts with. */
  get tls(): ReturnType<typeof readTls> {
    return this.#files;
  }

  /** The server that uses them. */
  serve(app: FastifyInstance): void {
    this.#app = app;
  }

  get certificates(): readonly NamedCertificates[] {
    const { certificate: file } = this.#tcp;
    return [{ parameter: "sockets.api_tcp.certificate", file, pem: this.#files.cert }];
  }

  read(): () => void {
    const files = readTls(this.#tcp);
    return () => {
      this.#files = files;
      const server: unknown = this.#app?.server;
      if (server instanceof Server) server.setSecureContext({ ...TLS_SERVER, ...files });
    };
  }
}
