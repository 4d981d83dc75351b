// Talking to the slide routes: every request carries the slide's token, and a refusal is one plain sentence.

export class Refused extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/** Addresses and requests of one slide. */
export class SlideServer {
  constructor(base, slideId, token) {
    this.root = `${base}slides/${encodeURIComponent(slideId)}/`
    this.token = token
  }

  get headers() {
    return { Authorization: `Bearer ${this.token}` }
  }

  async get(path) {
    let response
    try {
      response = await fetch(this.root + path, { headers: this.headers })
    } catch {
      throw new Refused(0, "The server does not answer.")
    }
    if (!response.ok) throw new Refused(response.status, (await response.text()) || `The server answered ${response.status}.`)
    return response
  }

  info() {
    return this.get("info").then(response => response.json())
  }

  tileUrl(version, level, column, row) {
    return `${this.root}${version}/tiles/${level}/${column}_${row}.jpg`
  }

  regionUrl(version, { x, y, width, height }, longest) {
    return `${version}/regions/${Math.max(0, Math.round(x))}_${Math.max(0, Math.round(y))}_${Math.round(width)}_${Math.round(height)}_${longest}.jpg`
  }
}
