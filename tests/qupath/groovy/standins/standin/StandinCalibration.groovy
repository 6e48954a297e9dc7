package standin

/** After QuPath's PixelCalibration: NaN where no size is known. */
class StandinCalibration {
    double[] mpp

    Number getPixelWidthMicrons() {
        return mpp[0]
    }

    Number getPixelHeightMicrons() {
        return mpp[1]
    }
}
