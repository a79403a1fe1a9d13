"""The loops of the CPU rasteriser.

Everything is done in homogeneous screen space (Olano and Greer, "Triangle scan conversion using 2D homogeneous
coordinates", 1997): a vertex is p = (x, y, w), a pixel centre q = (X, Y, 1) with X, Y in [-1, 1], Y upwards. With
e_i = p_j x p_k and det = p_0 . e_0, the numbers a_i = q . e_i / det are the perspective-correct barycentric weights over
w, so that sum(a_i) = 1 / w and z / w = sum(a_i z_i): no triangle has to be clipped.
"""

from __future__ import annotations

import math

import numpy as np

from df3d.system.cpu import kernel

TILE = 32  # pixels along a side of the squares that are rasterised at a time
EDGE = 1e-13  # rounding of weights: a pixel exactly on an edge belongs to both faces, not to neither
FEW = 64  # edges at a vertex that are compared all with all
LAYER = 1e-6  # in depth, between two layers of a surface
LONGEST_WAY = 64  # faces that are followed to the end of a surface


@kernel
def _cross(a, b, clip):
    """p_a x p_b; exactly opposite for (b, a), so that two faces agree on the edge they share."""
    if a > b:
        x, y, w = _cross_ordered(b, a, clip)
        return -x, -y, -w
    return _cross_ordered(a, b, clip)


@kernel
def _cross_ordered(a, b, clip):
    ax, ay, aw = np.float64(clip[a, 0]), np.float64(clip[a, 1]), np.float64(clip[a, 3])
    bx, by, bw = np.float64(clip[b, 0]), np.float64(clip[b, 1]), np.float64(clip[b, 3])
    return ay * bw - aw * by, aw * bx - ax * bw, ax * by - ay * bx


@kernel
def set_up(clip, faces, height, width, cull, edges, box, start, stop):
    """For faces start to stop: edges (F, 3, 3), e_i / det; box (F, 4), rows and columns [r0, r1) x [c0, c1) it may cover."""
    for f in range(start, stop):
        box[f, :] = 0
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        wa, wb, wc = clip[a, 3], clip[b, 3], clip[c, 3]
        if wa <= 0 and wb <= 0 and wc <= 0:
            continue
        x, y, w = _cross(b, c, clip)
        det = x * clip[a, 0] + y * clip[a, 1] + w * clip[a, 3]
        if not math.isfinite(det) or det == 0.0 or (cull and det < 0.0):
            continue
        edges[f, 0, 0], edges[f, 0, 1], edges[f, 0, 2] = x / det, y / det, w / det
        x, y, w = _cross(c, a, clip)
        edges[f, 1, 0], edges[f, 1, 1], edges[f, 1, 2] = x / det, y / det, w / det
        x, y, w = _cross(a, b, clip)
        edges[f, 2, 0], edges[f, 2, 1], edges[f, 2, 2] = x / det, y / det, w / det
        if min(wa, wb, wc) <= 1e-6:
            box[f, 0], box[f, 1], box[f, 2], box[f, 3] = 0, height, 0, width
            continue
        xa, xb, xc = clip[a, 0] / wa, clip[b, 0] / wb, clip[c, 0] / wc
        ya, yb, yc = clip[a, 1] / wa, clip[b, 1] / wb, clip[c, 1] / wc
        left, right = min(xa, xb, xc), max(xa, xb, xc)
        low, high = min(ya, yb, yc), max(ya, yb, yc)
        if right < -1.0 or left > 1.0 or high < -1.0 or low > 1.0:
            continue
        c0 = max(0, math.floor((left + 1.0) * 0.5 * width - 0.5))
        c1 = min(width, math.floor((right + 1.0) * 0.5 * width - 0.5) + 2)
        r0 = max(0, math.floor((1.0 - high) * 0.5 * height - 0.5))
        r1 = min(height, math.floor((1.0 - low) * 0.5 * height - 0.5) + 2)
        if r1 > r0 and c1 > c0:
            box[f, 0], box[f, 1], box[f, 2], box[f, 3] = r0, r1, c0, c1


@kernel
def sort_into_tiles(box, height, width):
    """Which faces may cover which tile: offsets (tiles + 1,) into a list of faces, in their order."""
    across, down = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    offsets = np.zeros(across * down + 1, np.int64)
    for f in range(box.shape[0]):
        if box[f, 1] > 0:
            for row in range(box[f, 0] // TILE, (box[f, 1] - 1) // TILE + 1):
                for col in range(box[f, 2] // TILE, (box[f, 3] - 1) // TILE + 1):
                    offsets[row * across + col + 1] += 1
    for tile in range(across * down):
        offsets[tile + 1] += offsets[tile]
    found = np.empty(offsets[-1], np.int32)
    at = offsets[:-1].copy()
    for f in range(box.shape[0]):
        if box[f, 1] > 0:
            for row in range(box[f, 0] // TILE, (box[f, 1] - 1) // TILE + 1):
                for col in range(box[f, 2] // TILE, (box[f, 3] - 1) // TILE + 1):
                    tile = row * across + col
                    found[at[tile]] = f
                    at[tile] += 1
    return offsets, found


@kernel
def draw_tiles(clip, faces, edges, box, offsets, found, behind, face, weights, slopes, depth, start, stop):
    """Fill tiles start to stop of face (H, W), weights (H, W, 2), slopes (H, W, 4) and depth (H, W).

    With `behind` (H, W), not empty, only what lies farther than that counts.
    """
    height, width = face.shape
    across = (width + TILE - 1) // TILE
    nearest = np.empty((TILE, TILE), np.float64)
    peeled = behind.shape[0] > 0
    for tile in range(start, stop):
        top, left = tile // across * TILE, tile % across * TILE
        bottom, right = min(top + TILE, height), min(left + TILE, width)
        nearest[:] = 1.0
        face[top:bottom, left:right] = -1
        for k in range(offsets[tile], offsets[tile + 1]):
            f = found[k]
            e = edges[f]
            z0, z1, z2 = clip[faces[f, 0], 2], clip[faces[f, 1], 2], clip[faces[f, 2], 2]
            for row in range(max(top, box[f, 0]), min(bottom, box[f, 1])):
                y = 1.0 - (2 * row + 1) / height
                k0, k1, k2 = e[0, 1] * y + e[0, 2], e[1, 1] * y + e[1, 2], e[2, 1] * y + e[2, 2]
                for col in range(max(left, box[f, 2]), min(right, box[f, 3])):
                    x = (2 * col + 1) / width - 1.0
                    a0, a1, a2 = e[0, 0] * x + k0, e[1, 0] * x + k1, e[2, 0] * x + k2
                    if a0 < -EDGE or a1 < -EDGE or a2 < -EDGE or a0 + a1 + a2 <= 0.0:
                        continue
                    z = a0 * z0 + a1 * z1 + a2 * z2
                    if -1.0 <= z < nearest[row - top, col - left] and not (peeled and z <= behind[row, col] + LAYER):
                        nearest[row - top, col - left] = z
                        face[row, col] = f
        for row in range(top, bottom):
            y = 1.0 - (2 * row + 1) / height
            for col in range(left, right):
                f = face[row, col]
                if f < 0:
                    weights[row, col, :] = 0.0
                    slopes[row, col, :] = 0.0
                    depth[row, col] = 1.0
                    continue
                x = (2 * col + 1) / width - 1.0
                e = edges[f]
                a0 = e[0, 0] * x + e[0, 1] * y + e[0, 2]
                a1 = e[1, 0] * x + e[1, 1] * y + e[1, 2]
                a2 = e[2, 0] * x + e[2, 1] * y + e[2, 2]
                total = a0 + a1 + a2
                u, v = a0 / total, a1 / total
                weights[row, col, 0], weights[row, col, 1] = u, v
                depth[row, col] = nearest[row - top, col - left]
                for axis in range(2):
                    step = (2.0 / width if axis == 0 else -2.0 / height) / total
                    change = e[0, axis] + e[1, axis] + e[2, axis]
                    slopes[row, col, axis] = step * (e[0, axis] - u * change)
                    slopes[row, col, 2 + axis] = step * (e[1, axis] - v * change)


@kernel
def _add_cross(gradient, vertex, scale, ax, ay, aw, bx, by, bw):
    """Add scale * (a x b) to the gradient of a vertex's (x, y, w)."""
    gradient[vertex, 0] += scale * (ay * bw - aw * by)
    gradient[vertex, 1] += scale * (aw * bx - ax * bw)
    gradient[vertex, 3] += scale * (ax * by - ay * bx)


@kernel
def weights_backward(clip, faces, face, weights, upstream, gradient, start, stop):
    """Rows start to stop: from d loss / d weights (H, W, 2) add to d loss / d clip (P, 4)."""
    height, width = face.shape
    for row in range(start, stop):
        y = 1.0 - (2 * row + 1) / height
        for col in range(width):
            f = face[row, col]
            g0, g1 = np.float64(upstream[row, col, 0]), np.float64(upstream[row, col, 1])
            if f < 0 or (g0 == 0.0 and g1 == 0.0):
                continue
            x = (2 * col + 1) / width - 1.0
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            ix, iy, iw = np.float64(clip[i, 0]), np.float64(clip[i, 1]), np.float64(clip[i, 3])
            jx, jy, jw = np.float64(clip[j, 0]), np.float64(clip[j, 1]), np.float64(clip[j, 3])
            kx, ky, kw = np.float64(clip[k, 0]), np.float64(clip[k, 1]), np.float64(clip[k, 3])
            a0 = x * (jy * kw - jw * ky) + y * (jw * kx - jx * kw) + (jx * ky - jy * kx)
            a1 = x * (ky * iw - kw * iy) + y * (kw * ix - kx * iw) + (kx * iy - ky * ix)
            a2 = x * (iy * jw - iw * jy) + y * (iw * jx - ix * jw) + (ix * jy - iy * jx)
            total = a0 + a1 + a2
            mean = g0 * weights[row, col, 0] + g1 * weights[row, col, 1]
            h0, h1, h2 = (g0 - mean) / total, (g1 - mean) / total, -mean / total
            # a_0 = q . (p_1 x p_2) and so on: d a_0 / d p_1 = p_2 x q, d a_0 / d p_2 = q x p_1
            _add_cross(gradient, i, h1, x, y, 1.0, kx, ky, kw)
            _add_cross(gradient, i, h2, jx, jy, jw, x, y, 1.0)
            _add_cross(gradient, j, h0, kx, ky, kw, x, y, 1.0)
            _add_cross(gradient, j, h2, x, y, 1.0, ix, iy, iw)
            _add_cross(gradient, k, h0, x, y, 1.0, jx, jy, jw)
            _add_cross(gradient, k, h1, ix, iy, iw, x, y, 1.0)


@kernel
def interpolate(attributes, faces, face, weights, out, start, stop):
    """Rows start to stop of out (H, W, C) from vertex attributes (P, C)."""
    channels = attributes.shape[1]
    for row in range(start, stop):
        for col in range(face.shape[1]):
            f = face[row, col]
            if f < 0:
                out[row, col, :] = 0.0
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            u, v = weights[row, col, 0], weights[row, col, 1]
            w = np.float32(1.0) - u - v
            for c in range(channels):
                out[row, col, c] = u * attributes[i, c] + v * attributes[j, c] + w * attributes[k, c]


@kernel
def interpolate_backward(attributes, faces, face, weights, upstream, to_attributes, to_weights, start, stop):
    """Rows start to stop: from d loss / d out to d loss / d attributes (added) and d loss / d weights."""
    channels = attributes.shape[1]
    for row in range(start, stop):
        for col in range(face.shape[1]):
            f = face[row, col]
            if f < 0:
                to_weights[row, col, :] = 0.0
                continue
            i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
            u, v = weights[row, col, 0], weights[row, col, 1]
            w = np.float32(1.0) - u - v
            gu, gv = np.float32(0.0), np.float32(0.0)
            for c in range(channels):
                g = upstream[row, col, c]
                to_attributes[i, c] += u * g
                to_attributes[j, c] += v * g
                to_attributes[k, c] += w * g
                gu += g * (attributes[i, c] - attributes[k, c])
                gv += g * (attributes[j, c] - attributes[k, c])
            to_weights[row, col, 0], to_weights[row, col, 1] = gu, gv


@kernel
def across_edges(faces, vertices):
    """(F, 3): for the edge that lies opposite each corner, the corner opposite it on the other side; -1 without one.

    A corner is a number: three times its face, and its place in it.
    """
    count = np.zeros(vertices + 1, np.int64)
    for f in range(faces.shape[0]):
        for i in range(3):
            count[min(faces[f, (i + 1) % 3], faces[f, (i + 2) % 3]) + 1] += 1
    for v in range(vertices):
        count[v + 1] += count[v]
    at = count[:-1].copy()
    corners = np.empty(faces.size, np.int64)  # by the lower vertex of the edge opposite
    for f in range(faces.shape[0]):
        for i in range(3):
            low = min(faces[f, (i + 1) % 3], faces[f, (i + 2) % 3])
            corners[at[low]] = 3 * f + i
            at[low] += 1
    across = np.full(faces.shape, -1, np.int64)
    highs = np.empty(faces.size, np.int64)
    for m in range(faces.size):
        f, i = corners[m] // 3, corners[m] % 3
        highs[m] = max(faces[f, (i + 1) % 3], faces[f, (i + 2) % 3])
    for low in range(vertices):
        start, stop = count[low], count[low + 1]
        if stop - start > FEW:  # where thousands of faces meet, comparing all with all would take minutes
            order = start + np.argsort(highs[start:stop], kind="mergesort")
            corners[start:stop], highs[start:stop] = corners[order], highs[order]
        for m in range(start, stop):
            f, i = corners[m] // 3, corners[m] % 3
            first = start if stop - start <= FEW else start + np.searchsorted(highs[start:stop], highs[m])
            for n in range(first, stop):
                if corners[n] // 3 != f and highs[n] == highs[m]:
                    across[f, i] = corners[n]
                    break
                if stop - start > FEW and highs[n] != highs[m]:
                    break
    return across


@kernel
def _crossing(clip, faces, across, face, depth, row, col, other_row, other_col):
    """Where the nearer surface ends between two neighbouring pixels that show different faces.

    From the face in the nearer pixel, the way to the other pixel is followed from face to face, until it crosses a
    silhouette edge: one without a face behind it, or with one that folds back. nvdiffrast looks at the first face alone,
    and so misses the edges of surfaces whose faces are smaller than a pixel.
    Returns (edge's first vertex or -1, its second, share of the way from the front pixel to the other, front is the first
    pixel, and the edge function in the front and in the other pixel).
    """
    height, width = face.shape
    first, second = face[row, col], face[other_row, other_col]
    front_first = second < 0 or (first >= 0 and depth[row, col] <= depth[other_row, other_col])
    f = first if front_first else second
    fr, fc = (row, col) if front_first else (other_row, other_col)
    br, bc = (other_row, other_col) if front_first else (row, col)
    fx, fy = (2 * fc + 1) / width - 1.0, 1.0 - (2 * fr + 1) / height
    bx, by = (2 * bc + 1) / width - 1.0, 1.0 - (2 * br + 1) / height
    for _ in range(LONGEST_WAY):
        best, corner, va, vb, at_front, at_other = 2.0, -1, -1, -1, 0.0, 0.0
        beyond = 0.0  # on which side of the edge the vertex across it lies
        for i in range(3):
            a, b, own = faces[f, (i + 1) % 3], faces[f, (i + 2) % 3], faces[f, i]
            if clip[a, 3] <= 0 or clip[b, 3] <= 0:
                return -1, -1, 0.0, front_first, 0.0, 0.0
            x, y, w = _cross(a, b, clip)
            if x * clip[own, 0] + y * clip[own, 1] + w * clip[own, 3] < 0:
                x, y, w = -x, -y, -w
                a, b = b, a
            lf, lb = x * fx + y * fy + w, x * bx + y * by + w
            if lf <= lb or lf / (lf - lb) >= best:
                continue  # the way enters here, or leaves elsewhere before
            best, corner, va, vb, at_front, at_other = lf / (lf - lb), across[f, i], a, b, lf, lb
            if corner >= 0:
                opposite = faces[corner // 3, corner % 3]
                beyond = x * clip[opposite, 0] + y * clip[opposite, 1] + w * clip[opposite, 3]
        if va < 0 or best > 1.0 or best < 0.0:
            break
        if corner < 0 or beyond >= 0.0:
            # horizontal neighbours see the steep edges, vertical ones the flat: a silhouette is blended once
            run = abs(clip[va, 0] / clip[va, 3] - clip[vb, 0] / clip[vb, 3]) * width
            rise = abs(clip[va, 1] / clip[va, 3] - clip[vb, 1] / clip[vb, 3]) * height
            if (fr == br) != (rise >= run):
                break
            return va, vb, best, front_first, at_front, at_other
        f = corner // 3
        if f in (first, second):
            break  # the other pixel shows the same surface
    return -1, -1, 0.0, front_first, 0.0, 0.0


@kernel
def antialias(color, clip, faces, across, face, depth, out, ends, start, stop):
    """Rows start to stop of out (H, W, C), and of ends (H, W): bit i is set where a surface ends towards neighbour i."""
    height, width = face.shape
    for row in range(start, stop):
        for col in range(width):
            ends[row, col] = 0
            for c in range(color.shape[2]):
                out[row, col, c] = color[row, col, c]
            for side in range(4):
                r, q = row + (side == 0) - (side == 1), col + (side == 2) - (side == 3)
                if not (0 <= r < height and 0 <= q < width) or face[r, q] == face[row, col]:
                    continue
                va, _, share, front, _, _ = _crossing(clip, faces, across, face, depth, row, col, r, q)
                if va < 0:
                    continue
                ends[row, col] |= 1 << side
                # the edge beyond the middle: the front pixel's colour spills into the other; before it: the other way round
                if (share >= 0.5) == front:
                    continue
                amount = abs(share - 0.5)
                for c in range(color.shape[2]):
                    out[row, col, c] += np.float32(amount * (color[r, q, c] - color[row, col, c]))


@kernel
def antialias_backward(color, clip, faces, across, face, depth, ends, upstream, to_color, to_clip, start, stop):
    """Rows start to stop: d loss / d color, and d loss / d clip (P, 4), added."""
    height, width = face.shape
    for row in range(start, stop):
        for col in range(width):
            for c in range(color.shape[2]):
                to_color[row, col, c] = upstream[row, col, c]
            for side in range(4):
                if not ends[row, col] >> side & 1:
                    continue
                r, q = row + (side == 0) - (side == 1), col + (side == 2) - (side == 3)
                va, vb, share, front, lf, lb = _crossing(clip, faces, across, face, depth, row, col, r, q)
                amount = abs(share - 0.5)
                if (share >= 0.5) == front:  # the other pixel is the one that changes, and takes this one's colour
                    for c in range(color.shape[2]):
                        to_color[row, col, c] += np.float32(amount * upstream[r, q, c])
                    continue
                slope = 0.0
                for c in range(color.shape[2]):
                    to_color[row, col, c] -= np.float32(amount * upstream[row, col, c])
                    slope += upstream[row, col, c] * (color[r, q, c] - color[row, col, c])
                if share < 0.5:
                    slope = -slope
                # share = lf / (lf - lb), lf = q_front . (p_a x p_b) and likewise lb
                across_both = (lf - lb) * (lf - lb)
                to_front, to_other = -slope * lb / across_both, slope * lf / across_both
                fr, fc = (row, col) if front else (r, q)
                br, bc = (r, q) if front else (row, col)
                x = to_front * ((2 * fc + 1) / width - 1.0) + to_other * ((2 * bc + 1) / width - 1.0)
                y = to_front * (1.0 - (2 * fr + 1) / height) + to_other * (1.0 - (2 * br + 1) / height)
                w = to_front + to_other
                ax, ay, aw = np.float64(clip[va, 0]), np.float64(clip[va, 1]), np.float64(clip[va, 3])
                bx, by, bw = np.float64(clip[vb, 0]), np.float64(clip[vb, 1]), np.float64(clip[vb, 3])
                _add_cross(to_clip, va, 1.0, bx, by, bw, x, y, w)
                _add_cross(to_clip, vb, 1.0, x, y, w, ax, ay, aw)
