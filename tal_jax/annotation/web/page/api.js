/** The server's API. The token comes from the link's fragment, which browsers send to nobody. */

const PATIENCE = 20000; // milliseconds for an answer

/** An address of the server, which a proxy may have put into a folder, from the page's own. */
export const here = (path) => path.replace(/^\/+/, '');

/** status 0: the server could not be reached. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
    this.retryable = status === 0 || status === 408 || status === 429 || status >= 500;
  }
}

export class Api {
  #token;

  /** @param {string} token */
  constructor(token) {
    this.#token = token;
  }

  get = (path) => this.#call('GET', path);
  post = (path, body = {}) => this.#call('POST', path, body);
  /** @param {boolean} keepalive go on although the page is being left (at most 64 KiB) */
  put = (path, body, keepalive = false) => this.#call('PUT', path, body, keepalive);

  /** A file, to be saved under the name that the server gives it. */
  async download(path) {
    const response = await this.#fetch('GET', path);
    const name = /filename="?([^";]+)"?/.exec(response.headers.get('content-disposition') ?? '');
    return {name: name ? name[1] : path.split('/').at(-1), blob: await response.blob()};
  }

  async #call(method, path, body, keepalive = false) {
    const response = await this.#fetch(method, path, body, keepalive);
    return response.json().catch(() => {
      throw new ApiError(0, 'the answer broke off');
    });
  }

  async #fetch(method, path, body, keepalive = false) {
    const headers = {Authorization: `Bearer ${this.#token}`};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response;
    try {
      response = await fetch(here(path), {
        method,
        headers,
        keepalive,
        cache: 'no-store',
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(PATIENCE),
      });
    } catch {
      throw new ApiError(0, 'the server cannot be reached');
    }
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    throw new ApiError(
      response.status,
      typeof said.error === 'string' ? said.error : `the server answered ${response.status}`,
    );
  }
}
