"""What a sweep is asked for: a grid of variants, formats, precisions and devices, from the command line or a YAML file.

    model: [mobilenet, resnet50, {model: mynet.py:build, preprocess: mine.yaml}]
    alpha: [1.0, 0.5]
    precision: [fp32, int8]
    device: [desktop, {pi: [pi-1, pi-2, pi-3]}]   # a pool: any of the three
    exclude: [{device: pi, precision: int8}]
    include: [{model: mobilenet, alpha: 0.25, res: 128}]
    weights: weights/          # random, pretrained, a file, or a folder with one file for each variant
    data: images/calibration
    eval: images/test

The keys are the fields of `Grid` (fields.py), and every other option of `edgekit export`; one that says how a file is
made, such as `io: [float32, uint8]`, may have several values. Paths are relative to the file's folder.
"""
