const VERTEX = `
attribute vec2 place;
attribute vec3 colour;
uniform vec4 view;
uniform float size;
varying vec3 shade;
void main() {
  gl_Position = vec4((place - view.xy) * view.zw, 0.0, 1.0);
  gl_PointSize = size;
  shade = colour;
}`;
const FRAGMENT = `
precision mediump float;
varying vec3 shade;
void main() {
  vec2 d = gl_PointCoord - 0.5;
  float edge = smoothstep(0.5, 0.38, length(d));
  gl_FragColor = vec4(shade * edge * 0.85, edge * 0.85);
}`;

/** What part of the plane is seen: its middle, and pixels a unit. */
export interface PlaneView {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

/**
 * Points that are drawn while the picture moves: those with the lowest numbers, which lie like all others. With a graphics
 * card a million take a few milliseconds, without one a second.
 */
const MOST_MOVING = 100_000;

/** Points drawn by WebGL. */
export class PointCloud {
  readonly #gl: WebGLRenderingContext;
  readonly #program: WebGLProgram;
  readonly #n: number;

  /** @param places [n, 2] @returns undefined where the browser has no WebGL */
  static create(canvas: HTMLCanvasElement, places: Float32Array): PointCloud | undefined {
    const gl = canvas.getContext('webgl', { antialias: false, premultipliedAlpha: true });
    const program = gl && link(gl);
    return gl && program ? new PointCloud(gl, program, places) : undefined;
  }

  private constructor(gl: WebGLRenderingContext, program: WebGLProgram, places: Float32Array) {
    this.#gl = gl;
    this.#program = program;
    this.#n = places.length / 2;
    gl.useProgram(program);
    this.#attribute('place', places, 2);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** @param colours [n, 3], 0 to 1 */
  colour(colours: Float32Array): void {
    this.#attribute('colour', colours, 3);
  }

  /** Whether fewer points are drawn while the picture moves. */
  get isLarge(): boolean {
    return this.#n > MOST_MOVING;
  }

  draw({ x, y, scale }: PlaneView, size: number, isMoving: boolean): void {
    const gl = this.#gl;
    const { width, height, clientWidth } = gl.canvas as HTMLCanvasElement;
    const ratio = width / Math.max(1, clientWidth);
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    const [zoomX, zoomY] = [(2 * scale * ratio) / width, (2 * scale * ratio) / height];
    gl.uniform4f(gl.getUniformLocation(this.#program, 'view'), x, y, zoomX, zoomY);
    gl.uniform1f(gl.getUniformLocation(this.#program, 'size'), size * ratio);
    gl.drawArrays(gl.POINTS, 0, isMoving ? Math.min(this.#n, MOST_MOVING) : this.#n);
  }

  #attribute(name: string, values: Float32Array, width: number): void {
    const gl = this.#gl;
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(this.#program, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
  }
}

function link(gl: WebGLRenderingContext): WebGLProgram | undefined {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(type);
    if (!shader) return undefined;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return gl.getProgramParameter(program, gl.LINK_STATUS) ? program : undefined;
}
