// Messages to the page: each has a number, and is sent again until the page has said that it has it. So nothing is lost
// while the server is away, and nothing is done twice.

const RESEND_MS = 4000

export class Outbox {
  constructor() {
    this.waiting = []
    this.last = 0
    this.send = null
    this.timer = setInterval(() => this.waiting.length && this.flush(), RESEND_MS)
  }

  /** Hand over the newest component arguments; drop what the page has acknowledged. */
  connect(send, acknowledged) {
    this.send = send
    this.waiting = this.waiting.filter(event => event.id > acknowledged)
    this.last = Math.max(this.last, acknowledged)
  }

  post(kind, content = {}) {
    this.last = Math.max(this.last + 1, Date.now())
    this.waiting.push({ id: this.last, kind, ...content })
    this.flush()
  }

  flush() {
    this.send?.("events", this.waiting)
  }

  close() {
    clearInterval(this.timer)
  }
}
